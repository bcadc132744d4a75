"""What the pages that live on this machine share: an address, a door that is shut to strangers, and an orderly end."""
