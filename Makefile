# Vellum's build.
#
#   make [ARCH=x86_64|riscv64] [DEBUG=1] [CC=clang]    the kernel, build/ARCH/vellum
#
# Everything made goes under build/; build/ARCH holds one machine's release
# build, build/ARCH-debug the one with assertions and debug checks.

ARCH  ?= x86_64
DEBUG ?=
OUT   := build/$(ARCH)$(if $(DEBUG),-debug)

.DEFAULT_GOAL := kernel
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

include arch/$(ARCH)/arch.mk
include tools/kernel.mk
-include tools/programs.mk

.PHONY: help clean compile_commands.json
help: ## this list
	@grep -hE '^[a-zA-Z_.-]+:.*## ' $(MAKEFILE_LIST) | \
	    awk -F ':.*## ' '{ printf "  %-22s %s\n", $$1, $$2 }'
	@echo "Variables: ARCH=x86_64|riscv64  DEBUG=1  CC=clang  V=1"

clean: ## remove everything that was built (downloads stay)
	rm -rf build/x86_64 build/riscv64 build/x86_64-debug build/riscv64-debug build/host

compile_commands.json: ## for clangd and other language servers
	$(MAKE) -nwB kernel V=1 | tools/compile-commands.py > $@

.PHONY: docs
docs: ## write docs/compatibility.md anew from the sources
	tools/compatibility.py

.PHONY: format
format: ## lay out every C file as .clang-format says (the benchmark came as it is)
	clang-format -i $$(git ls-files '*.c' '*.h' ':!tests/bench')
