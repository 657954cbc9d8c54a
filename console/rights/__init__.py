"""People's rights over what is stored of them: a person and an act enter; packages, certificates and a ledger leave."""
