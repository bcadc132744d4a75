"""Making a ladder's runs on many machines, by engines that exist. The ladder's folder, which all of them reach, is the
truth: what has an end there is done, whoever made it."""
