"""The northbound interface of GenieACS: requests checked before they are sent, answers taken for what they say."""
