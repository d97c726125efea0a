# Two commands are enough: "make cluster" and "make test". The build installs
# nothing on this machine: what it needs besides Go, git, make and gcc it takes
# out of Debian packages into its own cache.

# Versions of Kubernetes to build, separated by commas.
KUBERNETES ?=

# VERIFY=1 builds everything a second time in another folder and compares.
VERIFY ?=

# Kernels of machines, separated by commas: cloud, metal.
KERNEL ?=

# The program that builds, with the flags that it gives the compiler itself: what
# both are made of is compiled once.
build_program = CGO_ENABLED=0 go run -trimpath -gcflags=all=-dwarf=false ./cmd/build
build_flags = $(if $(KUBERNETES),-kubernetes=$(KUBERNETES)) $(if $(VERIFY),-verify) $(if $(KERNEL),-kernel=$(KERNEL))

.PHONY: help
help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F"|" "{printf \"%-16s %s\\n\", \$$1, \$$2}"

.PHONY: cluster
cluster: build ## run a cluster on this machine
	@bin/basaltctl cluster create

.PHONY: test
test: lint ## run all checks and all tests, the last on a real cluster and virtual machines
	go test -race $$(go list ./... | grep -v /test/)
	@$(build_program) $(build_flags) -image
	go test -count=1 -p 1 -timeout 60m ./test/...

.PHONY: test-full
test-full: image ## tell all stories on virtual machines, too: it takes hours
	go test -count=1 -timeout 6h ./test/vm -v -full

.PHONY: build
build: ## compile everything: _out/root, _out/oci, bin
	@$(build_program) $(build_flags)

.PHONY: image
image: ## make what machines boot, too: _out/image, and _out/qemu to try it
	@$(build_program) $(build_flags) -image

.PHONY: lint
lint: ## check the sources
	@$(build_program) -lint

.PHONY: bench
bench: image ## measure, and compare with the last time
	go run ./test/bench

.PHONY: clean
clean: ## remove what was built; the cache stays
	rm -rf _out bin
