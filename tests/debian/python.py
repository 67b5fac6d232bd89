# SPDX-License-Identifier: MIT
# What Python asks of a kernel: files, subprocesses, threads, signals, mmap, time, temporary files.
import collections, concurrent.futures, ctypes, errno, fcntl, hashlib, json, mmap, multiprocessing, os, pathlib
import queue, re, resource, select, shutil, signal, sqlite3, struct, subprocess, sys, tempfile, threading, time, zlib

print(sys.version_info[:2], json.loads('{"a": [1, 2.5, null, true, "\\u00e4"]}'))
p = pathlib.Path("d/e"); p.mkdir(parents=True); (p / "f.txt").write_text("hello\n" * 1000)
print((p / "f.txt").stat().st_size, hashlib.sha256((p / "f.txt").read_bytes()).hexdigest()[:16])
print(sorted(str(q) for q in pathlib.Path("d").rglob("*")), zlib.crc32(b"crc"), len(zlib.compress(b"x" * 100000)))
os.symlink("f.txt", "d/e/link"); os.rename("d/e/f.txt", "d/e/g"); print(os.path.lexists("d/e/link"), os.path.exists("d/e/link"))
try:
    open("d/absent")
except OSError as e:
    print(type(e).__name__, errno.errorcode[e.errno], e.strerror)
r = subprocess.run(["sort", "-r"], input="b\na\nc\n", capture_output=True, text=True); print(repr(r.stdout), r.returncode)
r = subprocess.run("echo out; echo err >&2; exit 4", shell=True, capture_output=True, text=True); print(r)
print(subprocess.call(["sh", "-c", "kill -9 $$"]))
try:
    subprocess.run(["sleep", "60"], timeout=0.2)
except subprocess.TimeoutExpired as e:
    print("timed out", e.cmd)
lock, total = threading.Lock(), 0
def add():
    global total
    for _ in range(2000):
        with lock:
            total += 1
threads = [threading.Thread(target=add) for _ in range(8)]; [t.start() for t in threads]; [t.join() for t in threads]; print(total)
q = queue.Queue(3); t = threading.Thread(target=lambda: [q.put(i) for i in range(20)]); t.start(); print(sum(q.get() for _ in range(20))); t.join()
with concurrent.futures.ThreadPoolExecutor(4) as pool: print(list(pool.map(lambda n: n * n, range(10))))
e = threading.Event(); print(e.wait(0.05)); threading.Timer(0.05, e.set).start(); print(e.wait(30))
got = []; signal.signal(signal.SIGALRM, lambda n, f: got.append(n)); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause(); print(got == [signal.SIGALRM])
with open("m", "w+b") as f:
    f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[4096:4101] = b"bytes"; m.flush(); f.seek(4096); print(f.read(5)); m.resize(16384); print(len(m), m.find(b"bytes")); m.close()
a = mmap.mmap(-1, 4096); pid = os.fork()
if pid == 0:
    a[0:4] = b"kid!"; os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), a[0:4])
rfd, wfd = os.pipe(); poll = select.poll(); poll.register(rfd, select.POLLIN); print(poll.poll(10)); os.write(wfd, b"x"); print(len(poll.poll()), select.select([rfd], [], [], 0)[0] == [rfd])
print(fcntl.fcntl(rfd, fcntl.F_GETFD), os.get_inheritable(rfd), resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 100)
with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as f: f.write(b"t"); f.flush(); print(os.path.getsize(f.name))
def child(c): c.send(os.getpid() != os.getppid()); c.close()
if __name__ == "__main__":
    ctx = multiprocessing.get_context("fork"); ours, theirs = ctx.Pipe(False); k = ctx.Process(target=child, args=(theirs,)); k.start(); print(ours.recv()); k.join(); print(k.exitcode)
db = sqlite3.connect("x.db"); db.execute("create table t(a)"); db.executemany("insert into t values(?)", [(i,) for i in range(500)]); db.commit(); print(db.execute("select sum(a) from t").fetchone())
print(ctypes.CDLL(None).strlen(b"seven!!"), struct.unpack("<IhB", struct.pack("<IhB", 1, -2, 3)), re.sub(r"(\w)(\w*)", r"\2\1", "pig latin words"))
t0 = time.monotonic(); time.sleep(0.02); print(time.monotonic() - t0 >= 0.02, time.gmtime(0).tm_year, shutil.disk_usage(".").total > 0, collections.Counter("banana").most_common(1))
