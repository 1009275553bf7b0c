"""Function signatures out of C headers, laid out by the psABI's rules.

Structs get their layout for the preprocessing target (all three are LP64 with natural alignment), because the size and the
members of one passed by value decide where it travels, and because a struct that two targets lay out differently cannot
be handed from translated code to the library by pointer.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pycparser import c_ast, c_parser

from guesssketch.cparse import PACKED, Place, parse, preprocess
from guesssketch.errors import GuessSketchWarning, ToolError, UsageError
from guesssketch.prototypes import POINTER, VOID, Signature, Type, array, scalar, struct

SOURCE: Final = "x86_64"
TARGETS: Final = ("aarch64", "riscv64")
LIBRARY_HEADERS: Final = (
    """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool
    stddef stdint stdio stdlib string strings time uchar wchar wctype aio arpa/inet cpio dirent dlfcn fcntl fmtmsg
    fnmatch ftw glob grp iconv langinfo libgen monetary mqueue net/if netdb netinet/in netinet/tcp nl_types poll pthread pwd
    regex sched search semaphore spawn sys/ipc sys/mman sys/msg sys/resource sys/select sys/sem sys/shm sys/socket sys/stat
    sys/statvfs sys/time sys/times sys/types sys/uio sys/un sys/utsname sys/wait syslog tar termios unistd utime utmpx
    wordexp alloca byteswap endian err error execinfo features getopt ifaddrs link malloc memory mntent paths printf
    pty resolv shadow sys/epoll sys/eventfd sys/file sys/inotify sys/ioctl sys/mount sys/param sys/prctl sys/ptrace
    sys/random sys/sendfile sys/signalfd sys/stat sys/statfs sys/sysinfo sys/syscall sys/timerfd sys/timex sys/xattr
    ucontext ulimit values argz envz fts obstack sys/auxv sys/personality sys/vfs sys/fsuid sys/klog sys/reboot
    sys/swap sys/quota libintl argp aliases crypt gshadow mcheck netinet/ether net/ethernet rpc/netdb stdio_ext
    threads utmp wait gnu/libc-version sys/sysmacros sys/fanotify sys/pidfd nss sys/acct net/route
    netinet/ip netinet/ip_icmp netinet/udp arpa/nameser"""
)

# System calls whose arguments mean the same everywhere (man 2 syscall, and the kernel's headers): no struct that differs, no
# flags of open(), no signal frame, nothing that speaks of the machine.
SYSTEM_CALLS: Final = (
    """accept4 acct add_key adjtimex bind bpf brk capget capset chdir chroot clock_adjtime clock_getres clock_gettime
    clock_nanosleep clock_settime close close_range connect copy_file_range delete_module dup dup3 eventfd2 execve execveat
    exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_init fanotify_mark fchdir fchmod fchmodat fchown
    fchownat fdatasync fgetxattr finit_module flistxattr flock fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstatfs
    fsync ftruncate futex futex_waitv get_mempolicy get_robust_list getcpu getcwd getdents64 getegid geteuid getgid getgroups
    getitimer getpeername getpgid getpid getppid getpriority getrandom getresgid getresuid getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getxattr init_module inotify_add_watch inotify_init1 inotify_rm_watch io_cancel
    io_destroy io_getevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl ioprio_get ioprio_set
    kcmp keyctl kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lgetxattr linkat listen listxattr
    llistxattr lremovexattr lseek lsetxattr madvise mbind membarrier memfd_create memfd_secret migrate_pages mincore mkdirat
    mlock mlock2 mlockall mmap mount mount_setattr move_mount move_pages mprotect mremap msync munlock munlockall munmap
    name_to_handle_at nanosleep open_tree perf_event_open pidfd_getfd pidfd_open pidfd_send_signal pipe2 pivot_root pkey_alloc
    pkey_free pkey_mprotect ppoll prctl pread64 preadv preadv2 prlimit64 process_madvise process_mrelease process_vm_readv
    process_vm_writev pselect6 pwrite64 pwritev pwritev2 quotactl quotactl_fd read readahead readlinkat readv reboot recvfrom
    recvmmsg recvmsg removexattr renameat2 request_key rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
    sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield sendfile sendmmsg sendmsg sendto set_mempolicy set_robust_list set_tid_address setdomainname setfsgid setfsuid
    setgid setgroups sethostname setitimer setns setpgid setpriority setregid setresgid setresuid setreuid setsid setsockopt
    settimeofday setuid setxattr shutdown sigaltstack signalfd4 socket socketpair splice statfs statx swapoff swapon symlinkat
    sync sync_file_range syncfs sysinfo syslog tee tgkill timer_create timer_delete timer_getoverrun timer_gettime
    timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask umount2 uname unlinkat unshare
    userfaultfd utimensat vhangup vmsplice wait4 waitid write writev"""
)
_OPAQUE: Final = re.compile(r"(pthread_\w+|mtx|cnd|sem)_t")


# --- types ------------------------------------------------------------------------------------------------------------


@dataclass
class _Layout:
    """A C type: what calls need of it, its alignment, its shape as text (names included), and the structs behind its pointers."""

    type: Type
    align: int
    shape: str
    pointees: frozenset[str] = frozenset()


@dataclass
class _Unit:
    """One parsed translation unit."""

    typedefs: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    layouts: dict[str, _Layout | None] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)  # of functions
    left_out: list[Place] = field(default_factory=list)

    def read(self, text: str) -> None:
        parsed = parse(text)
        self.left_out += parsed.left_out
        for node in parsed.tree.ext:
            if isinstance(node, c_ast.Typedef):
                self.typedefs[node.name] = node.type
            elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
                self.functions[node.name] = node.type
                self.places[node.name] = parsed.place(node)
            self._collect(node)

    def _collect(self, node: Any) -> None:
        if isinstance(node, c_ast.Struct | c_ast.Union) and node.decls and node.name:
            self.tags[node.name] = node
        if isinstance(node, c_ast.Enum) and node.values:
            value = 0
            for item in node.values.enumerators:
                value = self._value(item.value) if item.value else value
                self.constants[item.name] = value
                value += 1
        for child in node:
            self._collect(child)

    def signature(self, node: Any) -> Signature:
        """Raises UsageError for one without a prototype, or that needs an expression that is not understood."""
        if node.args is None:
            raise UsageError("declared without its parameters")
        return self._signature(node)[0]

    def pointees(self, node: Any) -> frozenset[str]:
        """Names of the structs that the library may reach through the arguments or the result."""
        seen: set[str] = set()
        pending = list(self._signature(node)[1])
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                layout = self._tag(name)
                pending.extend(layout.pointees if layout else ())
        return frozenset(seen)

    def shape(self, name: str) -> str:
        layout = self._tag(name)
        return layout.shape if layout else "opaque"

    def _signature(self, node: Any) -> tuple[Signature, frozenset[str]]:
        parameters: list[Type] = []
        pointees: frozenset[str] = frozenset()
        variadic = False
        for parameter in node.args.params if node.args else ():
            if isinstance(parameter, c_ast.EllipsisParam):
                variadic = True
                continue
            layout = self._of(parameter.type, parameter=True)
            if layout.type != VOID:
                parameters.append(layout.type)
                pointees |= layout.pointees
        result = self._of(node.type)
        return Signature(result.type, tuple(parameters), variadic), pointees | result.pointees

    def _of(self, node: Any, parameter: bool = False) -> _Layout:
        if isinstance(node, c_ast.TypeDecl):
            return self._of(node.type, parameter)
        if isinstance(node, c_ast.PtrDecl | c_ast.FuncDecl) or (parameter and isinstance(node, c_ast.ArrayDecl)):
            return self._pointer(node if isinstance(node, c_ast.FuncDecl) else node.type)
        if isinstance(node, c_ast.ArrayDecl):
            element = self._of(node.type)
            count = self._value(node.dim) if node.dim else 0
            return _Layout(array(count, element.type), element.align, f"{count}*{element.shape}", element.pointees)
        if isinstance(node, c_ast.Struct | c_ast.Union):
            layout = self._tag(node.name) if node.name and not node.decls else self._record(node)
            return layout or _Layout(scalar("other"), 1, "opaque")
        if isinstance(node, c_ast.Enum):
            return _Layout(scalar("u32"), 4, "4")
        names = [n for n in node.names if n not in ("const", "volatile", "inline")]
        if names == ["__va_list"]:
            return _Layout(scalar("va_list"), 8, "va_list")
        if len(names) == 1 and names[0] in self.typedefs:
            inner = self.typedefs[names[0]]
            if parameter and isinstance(inner, c_ast.ArrayDecl):
                return self._pointer(inner.type)
            return self._of(inner, parameter)
        return _arithmetic(names)

    def _pointer(self, node: Any) -> _Layout:
        while isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
            if node.type.names[0] not in self.typedefs:
                break
            node = self.typedefs[node.type.names[0]]
        if isinstance(node, c_ast.FuncDecl) and node.args is None:
            return _Layout(POINTER, 8, "ptr")
        if isinstance(node, c_ast.FuncDecl):
            signature, pointees = self._signature(node)
            return _Layout(Type("ptr", 8, function=signature), 8, "ptr", pointees)
        inner = node.type if isinstance(node, c_ast.TypeDecl | c_ast.ArrayDecl) else None
        if isinstance(inner, c_ast.TypeDecl):
            inner = inner.type
        if isinstance(inner, c_ast.Struct | c_ast.Union):
            name = inner.name or f"anonymous at {id(inner)}"
            if inner.decls:
                self.tags.setdefault(name, inner)
            if not inner.name:
                return _Layout(POINTER, 8, "ptr", self._anonymous(inner))
            return _Layout(POINTER, 8, "ptr", frozenset({name}))
        return _Layout(POINTER, 8, "ptr")

    def _anonymous(self, node: Any) -> frozenset[str]:
        """An unnamed struct is known by the typedef that names it, on every target alike."""
        for name, definition in self.typedefs.items():
            if isinstance(definition, c_ast.TypeDecl) and definition.type is node:
                self.tags.setdefault(name, node)
                return frozenset({name})
        return frozenset()

    def _tag(self, name: str) -> _Layout | None:
        if name not in self.layouts:
            self.layouts[name] = None  # a pointer to itself inside
            if name in self.tags:
                self.layouts[name] = self._record(self.tags[name])
        return self.layouts[name]

    def _record(self, node: Any) -> _Layout:
        """Layout by the psABI: members at the next multiple of their alignment, bit-fields inside units of their type."""
        union = isinstance(node, c_ast.Union)
        packed = any(d.name == PACKED for d in node.decls or () if isinstance(d, c_ast.Decl))
        bit, size, align = 0, 0, 1
        members: list[tuple[int, Type]] = []
        shapes: list[str] = []
        pointees: frozenset[str] = frozenset()
        for decl in node.decls or ():
            if not isinstance(decl, c_ast.Decl) or decl.name == PACKED:
                continue
            inner = self._of(decl.type)
            unit = 1 if packed else inner.align
            bit = 0 if union else bit
            if decl.bitsize is None:
                bit = -(-bit // (8 * unit)) * 8 * unit
                offset = bit // 8
                bit += inner.type.size * 8
            else:
                width = self._value(decl.bitsize)
                if width == 0 or bit // (8 * inner.type.size) != (bit + width - 1) // (8 * inner.type.size):
                    bit = -(-bit // (8 * unit)) * 8 * unit
                offset = bit // (8 * inner.type.size) * inner.type.size
                bit += width
            align = max(align, unit)
            size = max(size, (bit + 7) // 8)
            members.append((offset, inner.type))
            shapes.append(f"{bit}:{decl.name}:{inner.shape}")
            pointees |= inner.pointees
        size = -(-size // align) * align
        return _Layout(struct(size, members, union), align, f"{size}[{','.join(shapes)}]", pointees)

    def _value(self, node: Any) -> int:
        """A constant expression. Raises UsageError for one that headers have no business with."""
        if isinstance(node, c_ast.Constant):
            text = node.value.rstrip("uUlL")
            return ord(text[1]) if node.type == "char" else int(text, 8 if text[0] == "0" and text.isdigit() else 0)
        if isinstance(node, c_ast.ID) and node.name in self.constants:
            return self.constants[node.name]
        if isinstance(node, c_ast.Cast):
            return self._value(node.expr)
        if isinstance(node, c_ast.TernaryOp):
            return self._value(node.iftrue if self._value(node.cond) else node.iffalse)
        if isinstance(node, c_ast.UnaryOp):
            if node.op in ("sizeof", "_Alignof"):
                layout = self._of(node.expr.type)
                return layout.type.size if node.op == "sizeof" else layout.align
            value = self._value(node.expr)
            return {"-": -value, "~": ~value, "!": int(not value), "+": value}[node.op]
        if isinstance(node, c_ast.BinaryOp):
            a, b = self._value(node.left), self._value(node.right)
            return int({"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0, "%": a % b if b else 0,
                        "<<": a << max(b, 0) if b < 64 else 0, ">>": a >> max(b, 0), "|": a | b, "&": a & b, "^": a ^ b, "<": a < b,
                        ">": a > b, "<=": a <= b, ">=": a >= b, "==": a == b, "!=": a != b, "&&": bool(a and b),
                        "||": bool(a or b)}[node.op])  # fmt: skip
        raise UsageError(f"constant expression not understood: {type(node).__name__}")


def _arithmetic(names: list[str]) -> _Layout:
    if "_Complex" in names:
        part = _arithmetic([n for n in names if n != "_Complex"])
        size = part.type.size
        return _Layout(struct(2 * size, [(0, part.type), (size, part.type)]), part.align, f"2*{part.shape}")
    sign = "u" if "unsigned" in names else "i"
    if "void" in names:
        code = "void"
    elif "double" in names:
        code = "f80" if "long" in names else "f64"
    elif "float" in names:
        code = "f32"
    elif "_Bool" in names:
        code = "u8"
    elif "char" in names:
        code = "char" if "signed" not in names and "unsigned" not in names else f"{sign}8"
    elif "short" in names:
        code = f"{sign}16"
    elif "__int128" in names:
        code = f"{sign}128".replace("u", "i")
    else:
        code = f"{sign}64" if "long" in names else f"{sign}32"
    kind = scalar(code)
    return _Layout(kind, max(kind.size, 1), code if kind.is_float or code == "f80" else str(kind.size))


# --- what others ask for ----------------------------------------------------------------------------------------------


def declared(path: Path) -> dict[str, Signature]:
    """The functions that a header declares. Warns of what is not understood. Raises UsageError if it cannot be preprocessed."""
    unit = _Unit()
    signatures: dict[str, Signature] = {}
    try:
        unit.read(preprocess(f'#include "{path.resolve()}"\n', SOURCE, ("-D_GNU_SOURCE",), markers=True))
        for name, node in unit.functions.items():
            try:
                signatures[name] = unit.signature(node)
            except UsageError:
                unit.left_out.append(unit.places[name])
    except (ToolError, c_parser.ParseError) as error:
        raise UsageError(f"{path}: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: declarations that are nested too deeply") from error
    _tell(path, [place for place in unit.left_out if not place.system])
    return signatures


def _tell(path: Path, left_out: Sequence[Place]) -> None:
    """Warn of declarations in ``path``, and what it includes but system headers, that are left out."""
    if not left_out:
        return
    own = str(path.resolve())
    first = min(left_out, key=lambda place: (place.file != own, place.file, place.line))
    what = f"this declaration and {len(left_out) - 1} more are" if len(left_out) > 1 else "this declaration is"
    where = path if first.file == own else first.file
    warnings.warn(GuessSketchWarning(f"{where}:{first.line}: {what} not understood, and left out"), stacklevel=1)


_PASSES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("gnu.2.36", ("-D_GNU_SOURCE",)),
    ("gnu.2.36", ("-D_GNU_SOURCE", "-O2", "-D_FORTIFY_SOURCE=3")),
    ("gnu.2.36", ("-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64")),
    ("gnu.2.36", ("-std=c99", "-D_POSIX_C_SOURCE=200809L")),
    ("gnu", ("-D_GNU_SOURCE",)),
    ("musl", ("-D_GNU_SOURCE",)),
)  # fmt: skip


def _unit(machine: str, library: str, options: tuple[str, ...]) -> _Unit:
    unit = _Unit()
    lines = [f"#if __has_include(<{name}.h>)\n#include <{name}.h>\n#endif\n" for name in dict.fromkeys(LIBRARY_HEADERS.split())]
    unit.read(preprocess("".join(lines), machine, options, library))
    return unit


def _matters(function: str, name: str, source: str, target: str) -> bool:
    """Whether a struct's two shapes keep ``function`` from being called. What threads synchronize on is opaque: its size alone
    matters, where the library initializes one (static initializers agree)."""
    if not _OPAQUE.fullmatch(name):
        return source != target
    if function.startswith("pthread_") and function.endswith("_init") and name != function[:-5] + "_t":
        return False
    larger = int(target.partition("[")[0]) > int(source.partition("[")[0])
    return larger and re.search(r"_init$|^pthread_getattr_", function) is not None


def _system_calls(machine: str) -> list[int | None]:
    """The numbers of SYSTEM_CALLS, None for those that ``machine`` does not have."""
    lines = [f"gs_{name} __NR_{name}" for name in SYSTEM_CALLS.split()]
    text = preprocess("#include <asm/unistd.h>\n" + "\n".join(lines), machine)
    found = re.findall(r"^gs_\w+ (\w+)$", text, re.MULTILINE)
    return [int(number) if number.isdigit() else None for number in found]


def library_text() -> str:
    """``data/prototypes.json``: deterministic for one version of ziglang."""
    signatures: dict[str, str] = {}
    layouts: dict[str, dict[str, list[str]]] = {}
    for library, options in _PASSES:
        unit = _unit(SOURCE, library, options)
        for name, node in unit.functions.items():
            signatures.setdefault(name, str(unit.signature(node)))
        if library == "musl":
            continue
        for target in TARGETS:
            other = _unit(target, library, options)
            for name, node in unit.functions.items():
                if name not in other.functions:
                    continue
                structs = unit.pointees(node) | other.pointees(other.functions[name])
                differ = sorted(s for s in structs if _matters(name, s, unit.shape(s), other.shape(s)))
                if differ:
                    layouts.setdefault(name, {})[target] = differ
    data = {"signatures": dict(sorted(signatures.items())), "layouts": dict(sorted(layouts.items())),
            "syscalls": {machine: _system_calls(machine) for machine in (SOURCE, *TARGETS)}}  # fmt: skip
    return json.dumps(data, indent=0, separators=(",", ":")) + "\n"
