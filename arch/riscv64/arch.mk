# How to compile the kernel for RISC-V 64.
CROSS        := riscv64-linux-gnu-
CLANG_TARGET := --target=riscv64-linux-gnu
ARCH_CFLAGS  := -march=rv64imac$(if $(filter clang,$(CC)),,_zicsr_zifencei) -mabi=lp64 -mcmodel=medany -mno-relax
ARCH_LDFLAGS := -march=rv64imac -mabi=lp64 -mno-relax
UAPI_LINUX   := /usr/riscv64-linux-gnu/include
UAPI_ASM     := /usr/riscv64-linux-gnu/include/asm
