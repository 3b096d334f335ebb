"""Pages made of sections: a title, text, a table, a figure."""
