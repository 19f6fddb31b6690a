"""The peer of bench/libvirt.ts: the same calls through libvirt's own C client.

Reads one request a line from standard input, "SCENARIO CALLERS SECONDS", and answers each with calls per second.
"""

import sys
import threading
import time

import libvirt

SOCKET = sys.argv[1]
FIRST = sys.argv[2]
connections = {}


def connection(uri):
    if uri not in connections:
        driver, rest = uri.split(":", 1)
        connections[uri] = libvirt.open(f"{driver}+unix:{rest}?socket={SOCKET}")
    return connections[uri]


def call_of(scenario):
    """The one call that is repeated; it raises when it does not do its work."""
    uri, name = scenario.split("|")
    conn = connection(uri)
    first = conn.lookupByName(FIRST)
    return {
        "list": lambda: conn.listAllDomains(),
        "info": lambda: first.info(),
        "xml": lambda: first.XMLDesc(),
        "stats": lambda: conn.getAllDomainStats(),
    }[name]


def repeat(call, callers, seconds):
    counts = [0] * callers
    end = time.monotonic() + seconds

    def work(index):
        while time.monotonic() < end:
            call()
            counts[index] += 1

    started = time.monotonic()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


def events(uri, seconds):
    """Pairs of suspend and resume; counts the events that arrive."""
    conn = connection(uri)
    domain = conn.lookupByName(FIRST)
    seen = [0]
    everything = threading.Event()
    sent = [0]

    def on_event(*_):
        seen[0] += 1
        if sent[0] and seen[0] >= sent[0]:
            everything.set()

    callback = conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, None)
    started = time.monotonic()
    count = 0
    while time.monotonic() < started + seconds:
        domain.suspend()
        domain.resume()
        count += 2
    sent[0] = count
    if seen[0] < count:
        everything.wait(10)
    rate = seen[0] / (time.monotonic() - started)
    conn.domainEventDeregisterAny(callback)
    if seen[0] < count:
        raise RuntimeError(f"{count} events were due, {seen[0]} came")
    return rate


def run_event_loop():
    while True:
        libvirt.virEventRunDefaultImpl()


libvirt.virEventRegisterDefaultImpl()
threading.Thread(target=run_event_loop, daemon=True).start()
for line in sys.stdin:
    scenario, callers, seconds = line.split()
    if scenario.endswith("|events"):
        print(events(scenario.split("|")[0], float(seconds)), flush=True)
    else:
        print(repeat(call_of(scenario), int(callers), float(seconds)), flush=True)
