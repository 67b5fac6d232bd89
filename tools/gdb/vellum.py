# SPDX-License-Identifier: MIT
"""GDB knows Vellum: its lists, processors, processes and threads.

    gdb-multiarch build/ARCH/vellum -x tools/gdb/vellum.py -ex 'target remote :1234'

Commands:

    vellum-cpus                      what runs on each processor
    vellum-ps                        processes, in order of creation
    vellum-threads                   their threads, with state and processor
    vellum-bt TID                    the kernel stack of a thread that does not run
    vellum-list HEAD TYPE MEMBER     the objects on a struct list
    vellum-tree ROOT TYPE MEMBER     the objects in a red-black tree, in order
    vellum-log                       the kernel's messages

Functions for expressions: $cpu(N), $process(PID), $thread(TID).
"""

import gdb

STATES = ((1, "S"), (2, "D"), (4, "T"), (8, "X"), (16, "K"), (32, "t"))


def value(expression):
    return gdb.parse_and_eval(expression)


def struct_pointer(name):
    return gdb.lookup_type(f"struct {name}").pointer()


def container(link, type_name, member):
    """The object whose `member` the address `link` is."""
    pointer = struct_pointer(type_name)
    field = gdb.parse_and_eval(f"&((struct {type_name} *)0)->{member}")
    return gdb.Value(int(link) - int(field)).cast(pointer)


def list_objects(head, type_name, member):
    """Pointers to the objects on the list whose head is at `head` (struct list *)."""
    at = head["next"]
    while int(at) != int(head):
        if int(at) == 0:
            raise gdb.GdbError("the list is not initialised, or broken")
        yield container(at, type_name, member)
        at = at["next"]


def tree_objects(node, type_name, member):
    """In order, from the node (struct rb_node *) down."""
    if int(node) == 0:
        return
    yield from tree_objects(node["left"], type_name, member)
    yield container(node, type_name, member)
    yield from tree_objects(node["right"], type_name, member)


def text(characters):
    return characters.string("utf-8", "replace", length=16).split("\0")[0]


def processes():
    return list_objects(value("&all_processes"), "process", "all_link")


def threads():
    for process in processes():
        yield from list_objects(process["threads"].address, "thread", "thread_link")


def cpus():
    for i in range(int(value("cpu_count"))):
        yield value(f"cpus[{i}]")


def state(thread):
    bits = int(thread["state"])
    if bits == 0:
        return "R"
    return "".join(letter for bit, letter in STATES if bits & bit)


def runs(thread):
    cpu = thread["cpu"]
    return int(cpu) != 0 and int(cpu["thread"]) == int(thread)


def thread_line(thread):
    cpu = thread["cpu"]
    where = f"cpu {int(cpu['id'])}{'*' if runs(thread) else ''}" if int(cpu) else ""
    return f"{int(thread['tid']):6} {state(thread):3} {where:8} {text(thread['comm']):16} {thread.format_string()}"


class Command(gdb.Command):
    """A command named vellum-NAME whose help is the class's text."""

    name = ""

    def __init__(self):
        super().__init__(f"vellum-{self.name}", gdb.COMMAND_DATA)


class Cpus(Command):
    """What runs on each processor."""

    name = "cpus"

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            current = cpu["thread"]
            runs = thread_line(current) if int(current) else "nothing yet"
            flags = " ".join(w for w in ("online", "in_idle") if cpu[w])
            print(f"cpu {int(cpu['id']):3} {flags:15} {runs}")


class Processes(Command):
    """Processes, in order of creation."""

    name = "ps"

    def invoke(self, argument, from_tty):
        print("   pid   ppid   pgrp session threads state   name")
        for p in processes():
            leader = p["leader"]
            parent = int(p["parent"]["pid"]) if int(p["parent"]) else 0
            name = text(leader["comm"]) if int(leader) else "-"
            print(
                f"{int(p['pid']):6} {parent:6} {int(p['pgrp']):6} {int(p['session']):7}"
                f" {int(p['thread_count']):7} {str(p['state'])[8:]:7} {name}"
            )


class Threads(Command):
    """The threads of all processes; * marks those that run now."""

    name = "threads"

    def invoke(self, argument, from_tty):
        for thread in threads():
            print(thread_line(thread))


def find_thread(tid):
    for thread in threads():
        if int(thread["tid"]) == tid:
            return thread
    raise gdb.GdbError(f"no thread {tid}")


def frames(thread):
    """Program counters on the stack of a thread that does not run, by frame pointers.

    arch_switch() has left the stack pointer in thread->arch; from there the
    chain of saved frame pointers is looked for within the stack."""
    long_pointer = gdb.lookup_type("unsigned long").pointer()
    words = lambda address: gdb.Value(address).cast(long_pointer)
    bottom = int(thread["stack"])
    top = bottom + 4 * 4096
    at = int(thread["arch"]["sp"])
    while bottom <= at < top:
        word = int(words(at)[0])
        symbol = gdb.execute(f"info symbol {word:#x}", to_string=True)
        if not symbol.startswith("No symbol"):
            yield word, symbol.split(" in section")[0]
        at += 8


class Backtrace(Command):
    """vellum-bt TID: return addresses on the kernel stack of a sleeping thread."""

    name = "bt"

    def invoke(self, argument, from_tty):
        thread = find_thread(int(gdb.parse_and_eval(argument)))
        if runs(thread):
            raise gdb.GdbError("it runs: see `info threads` and `bt`")
        for address, symbol in frames(thread):
            print(f"  {address:#x} {symbol}")


class List(Command):
    """vellum-list HEAD TYPE MEMBER: the objects on a struct list.

    For example: vellum-list &all_processes process all_link"""

    name = "list"

    def invoke(self, argument, from_tty):
        head, type_name, member = gdb.string_to_argv(argument)
        for item in list_objects(value(head), type_name, member):
            print(item.format_string())


class Tree(Command):
    """vellum-tree ROOT TYPE MEMBER: the objects in a red-black tree, in order."""

    name = "tree"

    def invoke(self, argument, from_tty):
        root, type_name, member = gdb.string_to_argv(argument)
        for item in tree_objects(value(root)["node"], type_name, member):
            print(item.format_string())


class Log(Command):
    """The kernel's messages, also those that no console showed."""

    name = "log"

    def invoke(self, argument, from_tty):
        static = lambda name: value(f"'kernel/trace/printk.c'::{name}")
        ring = static("ring")
        size = int(ring.type.sizeof)
        held = bytes(gdb.selected_inferior().read_memory(int(ring.address), size))
        record = gdb.lookup_type("struct record")
        fields = {f.name: (f.bitpos // 8, f.type.sizeof) for f in record.fields()}
        at, end = int(static("head")), int(static("tail"))
        take = lambda start, n: bytes(held[(start + i) % size] for i in range(n))
        number = lambda name: int.from_bytes(take(at + fields[name][0], fields[name][1]), "little")
        while at < end:
            time, length = number("time"), number("length")
            text = take(at + record.sizeof, length).decode("utf-8", "replace")
            print(f"[{time // 10**9:5}.{time // 1000 % 10**6:06}] {text}")
            at += record.sizeof + length


class Find(gdb.Function):
    """An object by its number."""

    def __init__(self, name, objects, number):
        super().__init__(name)
        self.objects = objects
        self.number = number

    def invoke(self, wanted):
        for item in self.objects():
            if int(item[self.number]) == int(wanted):
                return item
        raise gdb.GdbError(f"there is no {int(wanted)}")


for command in (Cpus, Processes, Threads, Backtrace, List, Tree, Log):
    command()
Find("cpu", cpus, "id")
Find("process", processes, "pid")
Find("thread", threads, "tid")
