# SPDX-License-Identifier: MIT
"""tests/abi/pthread.c with Debian's musl instead of glibc, static and dynamic: here first, then in Vellum."""

import os
import platform
import re
import shutil

from harness import CROSS, ROOT, Failure, Skip, call, check, guest_package, image, test, vellum

SOURCE = f"{ROOT}/tests/abi/pthread.c"
HEADERS = {  # Linux's, which musl does not bring
    "x86_64": ["/usr/include", "/usr/include/x86_64-linux-gnu"],
    "riscv64": ["/usr/riscv64-linux-gnu/include"],
}


class Musl:
    """What musl-gcc does, for either machine and wherever the package is unpacked."""

    def __init__(self, arch):
        self.arch, self.gcc = arch, CROSS[arch]
        tuple_ = f"{arch}-linux-musl"
        development = guest_package(arch, "musl-dev")
        self.headers = f"{development}/usr/include/{tuple_}"
        self.objects = f"{development}/usr/lib/{tuple_}"
        self.library = f"{guest_package(arch, 'musl')}/usr/lib/{tuple_}/libc.so"
        self.loader = f"/lib/ld-musl-{arch}.so.1"
        self.out = f"{ROOT}/build/{arch}/tests"
        os.makedirs(self.out, exist_ok=True)

    def of_gcc(self, name):
        return call([self.gcc, f"-print-file-name={name}"]).expect(0).out.decode().strip()

    def compile(self, source, *flags):
        out = f"{self.out}/musl-{os.path.basename(source)}.o"
        argv = [self.gcc, "-std=gnu17", "-O2", "-w", "-c", "-o", out, source, *flags]
        argv += ["-Dstrerrorname_np=strerror"]  # which musl lacks
        argv += ["-nostdinc", "-isystem", self.headers, "-isystem", self.of_gcc("include")]
        for folder in HEADERS[self.arch]:
            argv += ["-idirafter", folder]
        call(argv).expect(0)
        return out

    def link(self, name, begin, between, *flags):
        """Without debug information: older linkers trip over what newer compilers wrote there."""
        first, begin_, end = begin
        out = f"{self.out}/musl-{name}"
        argv = [self.gcc, "-nostdlib", "-Wl,-S", "-o", out, *flags, f"{self.objects}/{first}", f"{self.objects}/crti.o"]
        argv += [self.of_gcc(begin_), *between, self.of_gcc(end), f"{self.objects}/crtn.o"]
        call(argv).expect(0)
        return out

    def loader_here(self):
        """A copy of the library: it is the loader when it is called by that name."""
        copy = f"{self.out}/{os.path.basename(self.loader)}"
        shutil.copy(self.library, copy)
        os.chmod(copy, 0o755)
        return copy

    def static(self, source):
        program, support = self.compile(source), [self.of_gcc("libgcc.a"), self.of_gcc("libgcc_eh.a")]
        library = f"{self.objects}/libc.a"
        return self.link(
            "static", ("crt1.o", "crtbeginT.o", "crtend.o"), [program, library, *support, library], "-static", "-no-pie"
        )

    def dynamic(self, source):
        program, support = self.compile(source, "-fPIE"), [self.of_gcc("libgcc.a"), self.of_gcc("libgcc_eh.a")]
        return self.link(
            "dynamic",
            ("Scrt1.o", "crtbeginS.o", "crtendS.o"),
            [program, f"-L{os.path.dirname(self.library)}", "-lc", *support],
            "-pie",
            f"-Wl,-dynamic-linker,{self.loader}",
        )


def judge(what, result):
    out = result.out.decode(errors="replace")
    plan = re.search(r"(?m)^1\.\.(\d+)", out)
    good = len(re.findall(r"(?m)^ok \d+", out))
    if result.status != 0 or not plan or int(plan.group(1)) != good:
        bad = "\n".join(re.findall(r"(?m)^not ok .*", out))
        raise Failure(f"{what}: status {result.status}\n{bad}\n{result.err[-1500:].decode(errors='replace')}")
    return good


def on_host(musl, arch, how, program):
    emulator = [] if arch == platform.machine() else [f"qemu-{arch}"]
    loader = [musl.loader_here()] if how == "dynamic" else []
    judge(f"{how}, on this host", call([*emulator, *loader, program], timeout=300))


@test("boot", weight=30)
def musl(arch):
    if os.getuid():
        raise Skip("needs root, as the programs of abi do")
    libc = Musl(arch)
    programs = {"static": libc.static(SOURCE), "dynamic": libc.dynamic(SOURCE)}
    for how, program in programs.items():
        on_host(libc, arch, how, program)

    def fill(archive):
        for how, program in programs.items():
            with open(program, "rb") as f:
                archive.file(f"tests/musl-{how}", 0o755, f.read())
        with open(libc.library, "rb") as f:
            archive.file(libc.loader[1:], 0o755, f.read())

    initrd = image(arch, "musl", fill)
    for how in programs:
        r = vellum(arch, "--smp", "4", "--initrd", initrd, "--", f"/tests/musl-{how}", timeout=200)
        check(judge(f"{how}, in Vellum", r) > 70, "checks are missing")
