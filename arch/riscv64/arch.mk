# How to compile the kernel for RISC-V 64.
CROSS        := riscv64-linux-gnu-
CLANG_TARGET := --target=riscv64-linux-gnu
ARCH_CFLAGS  := -march=rv64imac$(if $(filter clang,$(CC)),,_zicsr_zifencei) -mabi=lp64 -mcmodel=medany -mno-relax
# entry.S saves the whole frame around these calls.
WHOLE_FRAME  := clone clone3 execve execveat rt_sigreturn
ARCH_LDFLAGS := -march=rv64imac -mabi=lp64 -mno-relax $(WHOLE_FRAME:%=-Wl,--wrap=sys_%)
UAPI_LINUX   := /usr/riscv64-linux-gnu/include
UAPI_ASM     := /usr/riscv64-linux-gnu/include/asm
