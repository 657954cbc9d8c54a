"""The pages, one module for each group of addresses: a request enters, a page or a refusal leaves."""
