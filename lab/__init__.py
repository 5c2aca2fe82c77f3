"""An EC2 of one machine: moto holds what `cdktf deploy` asks for, systemd-nspawn boots it.

Each module is one noun. Outside: the `lab` itself, the images hosts are made of, the enclosure everything runs in.
Inside, each a program: the AWS API (`aws`, with `hosts`, `groups` and `permissions`), instance metadata, names,
downloads and a proxy. `faults` says what of it is broken at the moment.
"""
