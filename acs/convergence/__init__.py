"""From what a CPE should have to the CPE, believing only proof."""
