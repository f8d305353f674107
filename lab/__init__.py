"""Real hosts on one machine to run the suite against and to break: sshd, Elasticsearch and an emulated AWS."""
