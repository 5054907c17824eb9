r"""A site of Bitcoin miners on loopback, faithful on the wire and able to misbehave.

Run it from a checkout (ports 80 and 443 need root; without, families that need them are left out and named):

    python -m hashyard_simulator \
        --site name=north,subnet=127.50.1.0/24,antminer-s19=20,whatsminer-v2=10,luxos=5,vnish=3,bitaxe=2 \
        --control 127.0.0.1:0 --seed 7 --restart-seconds 3

`--site` may be repeated, `--spec FILE` takes a TOML file (see `hashyard_simulator.spec`). Once every port
listens, one line of JSON appears on standard output:
`{"ready": true, "control": "http://127.0.0.1:PORT", "miners": 40}`. SIGTERM or SIGINT stops it. Miners have
consecutive addresses from .1, real ports, MACs and serials that follow from seed, site and number, and three
pools with worker `<customer>.<number>`.

In a test:

    async with Farm(FarmSpec(sites=(parse_site("name=t,subnet=127.10.1.0/24,antminer-s19=2"),))) as farm:
        device = farm.device("127.10.1.1")

The control API (`hashyard_simulator.control`) shows the true state of each device and takes faults
(`hashyard_simulator.faults` lists them). What is simulated is what firmwares are known to do, written from
observations of their protocols; it shares no code with the product, so that it cannot share its mistakes.
"""
