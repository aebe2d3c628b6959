"""300 nodes in wg-meshconf: describe each, then write the configs of all. Keys are constants on both sides."""
import contextlib, io, json, pathlib, sys, tempfile, time

sys.path.insert(0, sys.argv[1])
from wg_meshconf.database_manager import DatabaseManager


class NoKeys:
    def genkey(self):
        return "k" * 44

    def pubkey(self, privkey):
        return "p" * 44


hubs = int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    database = DatabaseManager(pathlib.Path(folder) / "database.csv")
    database.wireguard = NoKeys()
    database.init()
    begun = time.process_time()
    for n in range(hubs):
        database.addpeer(
            f"hub-{n:03}",
            Address=[f"10.{n // 250}.{n % 250}.1/24"],
            Endpoint=f"198.18.{n // 250}.{n % 250 + 1}",
            ListenPort=51820,
        )
    added = time.process_time()
    database.genconfig(None, pathlib.Path(folder) / "configs")
    done = time.process_time()
    if len(list((pathlib.Path(folder) / "configs").iterdir())) != hubs:
        raise SystemExit("wg-meshconf did not write every config")
print(json.dumps({"added": added - begun, "generated": done - added}))
