#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write docs/compatibility.md: what there is of Linux's system calls, and of their flags.

Nothing in it is written by hand. Which calls a machine has, and their flags, come from Linux's UAPI
headers; which are there, from SYSCALL_DEFINEn in the sources; what tests them, from the programs in
tests/abi that name them. A flag counts as honoured if code of the kernel names it, unless it is
listed below as one that is named to be refused: a flag that none names cannot be told from an unknown
one.

    tools/compatibility.py            write the page
    tools/compatibility.py --check    status 1 if it is not up to date
"""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = f"{ROOT}/docs/compatibility.md"
MACHINES = {"x86_64": "x86-64", "riscv64": "RISC-V"}
UAPI = {"x86_64": ["/usr/include/x86_64-linux-gnu", "/usr/include"], "riscv64": ["/usr/riscv64-linux-gnu/include"]}

# Numbers that later kernels gave out, which the headers of Linux 6.1 leave to the machine.
NEWER = {"riscv64": ["riscv_hwprobe"]}

# System calls under the names that the C library has for them.
ALIASES = {
    "accept4": ["accept4", "accept"],
    "clone": ["clone", "fork", "CHILD", "IN_CHILD", "pthread_create"],
    "clone3": ["SYS_clone3"],
    "exit": ["SYS_exit"],
    "exit_group": ["_exit", "exit"],
    "fadvise64": ["posix_fadvise"],
    "getcwd": ["getcwd"],
    "getdents64": ["getdents64", "readdir"],
    "newfstatat": ["fstatat", "stat", "lstat"],
    "pread64": ["pread"],
    "prlimit64": ["prlimit", "setrlimit", "getrlimit"],
    "pselect6": ["pselect", "select"],
    "pwrite64": ["pwrite"],
    "rt_sigaction": ["sigaction", "handle_flags", "handle_info"],
    "rt_sigpending": ["sigpending", "is_pending"],
    "rt_sigprocmask": ["sigprocmask", "pthread_sigmask", "block_signal"],
    "rt_sigqueueinfo": ["sigqueue", "SYS_rt_sigqueueinfo"],
    "rt_sigreturn": ["handle_flags", "handle_info"],
    "rt_sigsuspend": ["sigsuspend"],
    "rt_sigtimedwait": ["sigtimedwait", "sigwaitinfo", "sigwait"],
    "sendfile": ["sendfile"],
    "umount2": ["umount", "umount2"],
    "uname": ["uname"],
    "wait4": ["wait4", "waitpid", "wait"],
}

# Whose flags (or commands) are looked at: title, header, pattern, and what is none of them.
FAMILIES = [
    ("clone, clone3, unshare", "linux/sched.h", r"CLONE_\w+", r"CLONE_ARGS_SIZE\w*"),
    ("sched_setattr", "linux/sched.h", r"SCHED_(FLAG_\w+|NORMAL|FIFO|RR|BATCH|IDLE|DEADLINE|RESET_ON_FORK)", ""),
    ("futex", "linux/futex.h", r"FUTEX_\w+", r"FUTEX_(OP_\w+|\w+_PRIVATE|\w*MASK|BITSET_MATCH_ANY|WAITERS|OWNER_DIED|CMD_\w+)"),
    ("futex: FUTEX_WAKE_OP", "linux/futex.h", r"FUTEX_OP_\w+", ""),
    ("membarrier", "linux/membarrier.h", r"MEMBARRIER_\w+", ""),
    ("open", "asm-generic/fcntl.h", r"O_[A-Z]+\w*", r"O_(ACCMODE|NDELAY|RDONLY)"),
    ("openat2", "linux/openat2.h", r"RESOLVE_\w+", ""),
    ("fcntl", "asm-generic/fcntl.h", r"F_[A-Z]\w*", r"F_(RDLCK|WRLCK|UNLCK|EXLCK|SHLCK|LINUX_\w*|\w+64)"),
    ("fcntl, Linux's own", "linux/fcntl.h", r"F_[A-Z]\w*", r"F_LINUX_\w*|F_SEAL\w*"),
    ("seals", "linux/fcntl.h", r"F_SEAL_\w+", ""),
    ("...at", "linux/fcntl.h", r"AT_[A-Z]\w*", r"AT_FDCWD|AT_STATX_SYNC_TYPE"),
    ("mmap", "asm-generic/mman-common.h", r"MAP_[A-Z]\w*", r"MAP_(TYPE|FILE|HUGE_\w*|UNINITIALIZED)"),
    ("mmap", "asm-generic/mman.h", r"MAP_[A-Z]\w*", ""),
    ("mmap", "linux/mman.h", r"MAP_(SHARED|PRIVATE|SHARED_VALIDATE)", ""),
    ("madvise", "asm-generic/mman-common.h", r"MADV_\w+", ""),
    ("mlockall, msync", "asm-generic/mman-common.h", r"(MS|MLOCK)_\w+", ""),
    ("mlockall", "asm-generic/mman.h", r"MCL_\w+", ""),
    ("mremap", "linux/mman.h", r"MREMAP_\w+", ""),
    ("memfd_create", "linux/memfd.h", r"MFD_[A-Z]\w*", r"MFD_HUGE_\w+"),
    ("mount", "linux/mount.h", r"MS_[A-Z]\w*", r"MS_(MGC_\w+|RMT_MASK)"),
    ("renameat2, preadv2, fallocate", "linux/fs.h", r"(RENAME|RWF)_\w+", r"RWF_SUPPORTED"),
    ("fallocate", "linux/falloc.h", r"FALLOC_FL_\w+", ""),
    ("close_range", "linux/close_range.h", r"CLOSE_RANGE_\w+", ""),
    ("epoll", "linux/eventpoll.h", r"EPOLL[A-Z_]+\w*", r"EPOLL_PACKED"),
    ("signalfd", "linux/signalfd.h", r"SFD_[A-Z]\w*", ""),
    ("timerfd", "linux/timerfd.h", r"TFD_[A-Z]\w*", ""),
    ("inotify", "linux/inotify.h", r"IN_[A-Z]\w*", ""),
    ("clocks", "linux/time.h", r"CLOCK_[A-Z]\w*", ""),
    ("wait4, waitid", "linux/wait.h", r"(__)?W[A-Z]+|P_[A-Z]+", ""),
    ("prctl", "linux/prctl.h", r"PR_[A-Z]+_\w+|PR_CAPBSET_\w+",
     r"PR_(UNALIGN|FPEMU|FP_EXC|TIMING|ENDIAN|TSC|MTE|TAGGED|SPEC|PAC|SVE_VL|SME_VL|FP_MODE|SET_MM_|MCE_KILL_|SET_VMA_|SCHED_CORE_|CAP_AMBIENT_|SET_PTRACER_)\w*"),
    ("prctl: PR_CAP_AMBIENT", "linux/prctl.h", r"PR_CAP_AMBIENT_\w+", ""),
    ("securebits", "linux/securebits.h", r"SECBIT_\w+", ""),
    ("getrandom", "linux/random.h", r"GRND_\w+", ""),
    ("ptrace", "linux/ptrace.h", r"PTRACE_[A-Z]\w*", r"PTRACE_(EVENTMSG_\w*|SYSCALL_INFO_\w*|EVENT_\w*|O_MASK|SI_\w*)"),
]

# Named in the sources, but only to be refused.
REFUSED = re.compile(r"CLONE_NEW\w+|CLONE_INTO_CGROUP|SCHED_DEADLINE|PR_SET_MM|FUTEX_WAITV_MAX")
# Honoured under another name: as the last case, or as part of what is named.
IMPLIED = {"FUTEX_OP_CMP_GT", "SCHED_FLAG_KEEP_ALL"} | {
    f"SECBIT_{n}_LOCKED" for n in ("NOROOT", "NO_SETUID_FIXUP", "NO_CAP_AMBIENT_RAISE")
}


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def files(*patterns):
    names = [n for p in patterns for n in glob.glob(f"{ROOT}/{p}", recursive=True)]
    return sorted(n for n in names if os.path.isfile(n))


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def header(machine, name):
    for folder in UAPI[machine]:
        if os.path.exists(f"{folder}/{name}"):
            return f"{folder}/{name}"
    raise SystemExit(f"compatibility: no {name}")


def linux_calls(machine):
    """Names that <asm/unistd.h> has a number for."""
    command = ["gcc", "-nostdinc", "-E", "-dM", *(f"-I{d}" for d in UAPI[machine]), "-x", "c", header(machine, "asm/unistd.h")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"#define __NR_([a-z0-9_]+) ", out)) - {"syscalls", "arch_specific_syscall"}
    return names | set(NEWER.get(machine, []))


def our_calls(machine):
    """name -> file"""
    found = {}
    for path in files("kernel/**/*.c", f"arch/{machine}/**/*.c"):
        for name in re.findall(r"(?m)^SYSCALL_DEFINE[0-6]\((\w+)", read(path)):
            found[name] = os.path.relpath(path, ROOT)
    return found


def tests():
    return {os.path.basename(p)[:-2]: without_comments(read(p)) for p in files("tests/abi/*.c")}


def tested_by(call, programs):
    names = ALIASES.get(call, [call])
    pattern = re.compile(r"\b(SYS_%s|__NR_%s|(?:%s)\s*\()" % (call, call, "|".join(map(re.escape, names))))
    return sorted(name for name, text in programs.items() if pattern.search(text))


def write_calls(out):
    linux = {m: linux_calls(m) for m in MACHINES}
    ours = {m: our_calls(m) for m in MACHINES}
    programs = tests()
    there = {m: len(linux[m] & ours[m].keys()) for m in MACHINES}
    out.append("## System calls\n")
    for m, name in MACHINES.items():
        out.append(f"- {name}: {there[m]} of {len(linux[m])}\n")
    out.append("\nA call that is not there returns ENOSYS, and its name is logged once. A machine that has no such call")
    out.append("\nshows a dash. The last column names the programs of `tests/abi` that use it; beyond four, how many more.\n")
    out.append("\n| call | " + " | ".join(MACHINES.values()) + " | source | tests |\n|---|---|---|---|---|\n")
    for call in sorted(set.union(*linux.values())):
        state = ["–" if call not in linux[m] else "yes" if call in ours[m] else "ENOSYS" for m in MACHINES]
        source = next((ours[m][call] for m in MACHINES if call in ours[m]), "")
        by = tested_by(call, programs) if source else []
        more = f" +{len(by) - 4}" if len(by) > 4 else ""
        out.append(f"| {call} | {' | '.join(state)} | {source} | {' '.join(by[:4])}{more} |\n")


def write_flags(out):
    code = without_comments("".join(read(p) for p in files("kernel/**/*.[ch]", "include/**/*.h", "arch/**/*.[ch]")))
    used = {n for n in re.findall(r"\b[A-Z_][A-Z0-9_]+\b", code) if not REFUSED.fullmatch(n)} | IMPLIED
    merged = {}
    for title, name, pattern, other in FAMILIES:
        text = re.sub(r"\\\n", " ", read(header("x86_64", name)))
        names = re.findall(r"(?m)^\s*#\s*define\s+(\w+)\s+\S", text) + re.findall(r"(?m)^\s*(\w+)\s*=", text)
        flags = [n for n in dict.fromkeys(names) if re.fullmatch(pattern, n) and not (other and re.fullmatch(other, n))]
        merged.setdefault(title, []).extend(f for f in flags if f not in merged.get(title, []))
    out.append("\n## Flags and commands\n\nWhat is not known is refused, or has no effect where Linux ignores what it does not know\n")
    out.append("(open(2), hints of madvise(2), events of epoll(7)).\n\n")
    out.append("| of | honoured | refused or not known |\n|---|---|---|\n")
    for title, flags in merged.items():
        yes = " ".join(f for f in flags if f in used)
        no = " ".join(f for f in flags if f not in used)
        out.append(f"| {title} | {yes or '–'} | {no or '–'} |\n")


def page():
    out = ["# Compatibility with Linux\n\n"]
    out.append("Written by `make docs` (`tools/compatibility.py`) from the UAPI headers of Linux 6.1, the sources and the\n")
    out.append("tests; not by hand. What is there behaves as the manual pages say and as Linux 6.1 does.\n\n")
    write_calls(out)
    write_flags(out)
    return "".join(out)


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        return 0 if os.path.exists(PAGE) and read(PAGE) == text else 1
    with open(PAGE, "w") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
