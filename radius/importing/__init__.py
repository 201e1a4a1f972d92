"""Subscribers from elsewhere, by the thousand: lists read, checked line by line, brought in and projected at once."""
