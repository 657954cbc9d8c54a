"""From what somebody is to be told to a delivery: messages as rows enter, attempts and receipts leave."""
