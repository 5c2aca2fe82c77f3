"""An EC2 of one machine: moto holds what was deployed, systemd-nspawn boots it.

`boot_pair.py` beside this package is its command. Each module is one noun: the images hosts are made of, the enclosure
everything runs in, the services that hosts find there (the AWS API, instance metadata, names, downloads), the hosts.
"""
