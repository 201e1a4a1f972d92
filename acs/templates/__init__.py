"""CPE templates: data that say which parameters a CPE gets, and what is made of them."""
