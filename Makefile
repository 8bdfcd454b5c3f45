# Everything a person does here is a target; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The functions are the folders below functions/; a test holds the deployment's
# list to them.
FUNCTIONS := $(notdir $(patsubst %/main.go,%,$(wildcard functions/*/main.go)))
# The compiler's version is part of what it writes: another Go gets this one.
GO_BUILD  := GOTOOLCHAIN=go1.26.8 CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -buildvcs=false -ldflags='-s -w -buildid='
LINT      := go tool -modfile=.ci/lint.mod golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The versions of Node that jsii supports, on which the CDK runs in Go. With
# OLD_NODE everything works still, and jsii's own warning fills a screen.
NODE     := 22 24
NODES    := $(firstword $(NODE)) or $(lastword $(NODE))
OLD_NODE := 20
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = $(OLD_NODE)

.PHONY: node
node:
	@found=$$(node -p 'process.versions.node.split(".")[0]') || { echo "Node is missing: install $(NODES)" >&2; exit 1; }; \
	  test $$found -ge $(OLD_NODE) || { echo "Node $$found is too old: install $(NODES)" >&2; exit 1; }; \
	  [[ " $(NODE) " == *" $$found "* ]] || echo "Node $$found works here still, but jsii, by which Go runs the CDK, supports $(NODES) only" >&2

# npm leaves this file behind; it is older than the lock only when they differ.
node_modules/.package-lock.json: package-lock.json
	@echo "==> Node packages"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: demo
demo: node_modules/.package-lock.json ## apply one resource to four local clusters and show it
	@go run ./local demo

.PHONY: local
local: node_modules/.package-lock.json ## keep the local world running, for the AWS CLI and kubectl (ADDRESS=127.0.0.1:4567)
	@go run ./local serve $(if $(ADDRESS),-address $(ADDRESS))

.PHONY: control-plane
control-plane:
	@echo "==> the control plane's binaries (built once, then cached)"
	@go run ./local prepare

.PHONY: test
test: node_modules/.package-lock.json control-plane ## run all tests, with the race detector
	@echo "==> tests"
	@go test -race -timeout 20m ./...
	@echo "==> all tests passed"

.PHONY: test-unit
test-unit: node_modules/.package-lock.json control-plane ## run the tests of the functions, what they share and the emulator of AWS: a minute
	@echo "==> tests"
	@go test -short -race ./functions/... ./shared/... ./statemachine/... ./docs/... ./local/emulator/asl/... ./local/emulator/awsapi/...

# Each operator is built from a module of its own below local/operators.
.PHONY: test-operators
test-operators: node_modules/.package-lock.json control-plane ## run the workflow against kro, a real operator (minutes to build, the first time)
	@echo "==> kro's controller"
	@mkdir -p dist/operators
	@cd local/operators/kro && GOFLAGS= go build -o ../../../dist/operators/kro tool
	@KRO_CONTROLLER=$(CURDIR)/dist/operators/kro \
	  KRO_CRDS=$$(cd local/operators/kro && go list -m -f '{{.Dir}}' github.com/kubernetes-sigs/kro)/helm/crds \
	  go test -count=1 -v -timeout 20m ./local/operators

.PHONY: bench
bench: node_modules/.package-lock.json ## measure cold and warm starts, in the local world
	@go test -run '^$$' -bench . -benchtime 20x ./local/world
	@go test -run '^$$' -bench . ./shared/readiness
	@go test -run '^$$' -bench . -benchtime 100000x ./functions/poll

.PHONY: bench-fleet
bench-fleet: node_modules/.package-lock.json control-plane ## measure a rollout to a fleet: TARGETS=2000 CONCURRENCY=200, or 10000 and 1000 (minutes)
	@FLEET_TARGETS=$(or $(TARGETS),2000) FLEET_CONCURRENCY=$(or $(CONCURRENCY),200) go test -run '^$$' -bench Fleet -benchtime 1x -timeout 2h ./local/world

.PHONY: build
build: $(FUNCTIONS:%=dist/%.zip) ## build the Lambda zips into dist/ (arm64)
	@ls -l dist/*.zip | awk '{printf "  %-18s %6.2f MB\n", $$NF, $$5/1e6}'

# The same source gives the same bytes: no build id, no commit, no folders, no times.
dist/%.zip: FORCE
	@mkdir -p dist/$*
	@GOOS=linux GOARCH=arm64 $(GO_BUILD) -o dist/$*/bootstrap ./functions/$*
	@said=$$(go run github.com/aws/aws-lambda-go/cmd/build-lambda-zip -o dist/$*.zip dist/$*/bootstrap 2>&1) || { echo "$$said" >&2; exit 1; }

.PHONY: FORCE
FORCE:

# CONFIG names a configuration file; without it, cdk.json's is used. The stacks
# are called crossapply... here whatever the configuration's name is in AWS.
CDK := npx cdk --no-notices $(if $(CONFIG),-c crossapply=$(CONFIG))
STACKS := synth diff deploy destroy deploy-stacksets diff-stacksets destroy-stacksets
$(STACKS): export JSII_DEPRECATED = quiet
$(STACKS) golden test: node

.PHONY: synth
synth: build node_modules/.package-lock.json ## write the CloudFormation templates to cdk.out/ and dist/
	@rm -rf cdk.out
	@$(CDK) synth --quiet
	@echo "wrote $$(ls cdk.out/*.template.json | wc -l) templates to cdk.out/, and what is to be handed on to dist/"

.PHONY: diff
diff: build node_modules/.package-lock.json ## what a deployment of the hub would change
	@$(CDK) diff crossapply

.PHONY: deploy
deploy: build node_modules/.package-lock.json ## deploy the hub stack
	@$(CDK) deploy crossapply

.PHONY: destroy
destroy: build node_modules/.package-lock.json ## delete the hub stack; docs/deploying.md says what stays
	@$(CDK) destroy crossapply

# ACCOUNTS are target accounts of the configuration, or all of them. JOBS are worked
# on at the same time. For their credentials see cdk/access-stacks.
ACCESS_STACKS := cdk/access-stacks
JOBS          := 1
each_account   = @test -n "$(ACCOUNTS)" || { echo "say which accounts: make $@ ACCOUNTS='222222222222 333333333333', or all" >&2; exit 1; }; \
  accounts="$(ACCOUNTS)"; test "$$accounts" != all || accounts=$$(ls cdk.out | sed -n 's/^crossapply-access-\([0-9]\{12\}\)\.template\.json$$/\1/p'); \
  test -n "$$accounts" || { echo "no account has access stacks of its own: they are deployed by the configuration's stackSet" >&2; exit 1; }; \
  printf '%s\n' $$accounts | xargs -P $(JOBS) -I{} $(ACCESS_STACKS) $(1) {}

.PHONY: deploy-access
deploy-access: synth ## give access to the clusters of ACCOUNTS='... ...' or all
	$(call each_account,deploy)

.PHONY: diff-access
diff-access: synth ## what deploy-access would change in ACCOUNTS=...
	$(call each_account,diff)

.PHONY: destroy-access
destroy-access: synth ## take away the access to the clusters of ACCOUNTS=...
	$(call each_account,destroy)

.PHONY: deploy-stacksets
deploy-stacksets: build node_modules/.package-lock.json ## give access by the configuration's stackSet
	@$(CDK) deploy 'crossapply-access-{ou,r}-*'

.PHONY: diff-stacksets
diff-stacksets: build node_modules/.package-lock.json ## what deploy-stacksets would change
	@$(CDK) diff 'crossapply-access-{ou,r}-*'

.PHONY: destroy-stacksets
destroy-stacksets: build node_modules/.package-lock.json ## take away the access that the configuration's stackSet gives
	@$(CDK) destroy 'crossapply-access-{ou,r}-*'

.PHONY: prune-versions
prune-versions: ## say which old versions of MACHINE=<StateMachineArn> may go, or delete them: DELETE=yes (KEEP=10 newest stay)
	@test -n "$(MACHINE)" || { echo "say of which state machine, by its ARN: MACHINE=arn:aws:states:..." >&2; exit 1; }
	@go run ./cdk/prune -machine '$(MACHINE)' -keep $(or $(KEEP),10) $(if $(DELETE),-delete)

# EXECUTION is the ARN of an execution. Of its parts the fourth is the Region, the
# seventh the state machine, which bears the deployment's name, and the eighth the
# execution's name.
part = $(word $(1),$(subst :, ,$(EXECUTION)))
AWS  = aws --region $(call part,4)

.PHONY: named
named:
	@test -n "$(call part,8)" || { echo "say which execution, by its ARN: EXECUTION=arn:aws:states:..." >&2; exit 1; }

.PHONY: stop
stop: named ## start no other target of EXECUTION=<ARN> (in the local world with BUCKET=...)
	@status=$$($(AWS) stepfunctions describe-execution --execution-arn '$(EXECUTION)' --query status --output text) && \
	  { test "$$status" = RUNNING || { echo "nothing to stop: the execution is $$status" >&2; exit 1; }; }
	@bucket=$${BUCKET:-$$($(AWS) cloudformation list-exports --query "Exports[?Name=='$(call part,7)-RunBucketName'].Value" --output text)} && \
	  $(AWS) s3api put-object --bucket $${bucket:?is not exported: give BUCKET=...} --key 'runs/$(call part,8)/marks/STOP' >/dev/null && \
	  echo "wrote s3://$$bucket/runs/$(call part,8)/marks/STOP: no other target starts, and those under way come to their own end"

.PHONY: approve
approve: ## approve what EXECUTION=<ARN> asks for [WAVE=name] [REJECT=1] [MESSAGE='why'], or say which of MACHINE=<StateMachineArn> ask
	@test -n "$(EXECUTION)$(MACHINE)" || { echo "say which execution, EXECUTION=arn:aws:states:..., or of which state machine, MACHINE=arn:aws:states:..." >&2; exit 1; }
	@go run ./cdk/approve $(if $(EXECUTION),-execution '$(EXECUTION)' -wave '$(WAVE)' $(if $(REJECT),-reject) -message "$$MESSAGE",-machine '$(MACHINE)')

.PHONY: report
report: named ## report on EXECUTION=<ARN>, for one that was stopped before it could
	@answer=$$(mktemp) && trap 'rm -f $$answer' EXIT && \
	  failed=$$(printf '{"execution": "%s"}' '$(EXECUTION)' | $(AWS) lambda invoke --function-name $(call part,7)-report --cli-read-timeout 300 \
	    --payload fileb:///dev/stdin --query FunctionError --output text $$answer) && cat $$answer && echo && test "$$failed" = None

.PHONY: cost
cost: ## what a rollout costs: TARGETS=1000 WAIT=20 (seconds until Ready; 0: nothing changes) [WAVES=1] [KEY=1] [WINDOW=60]
	@go run ./docs/estimate $(if $(TARGETS),-targets $(TARGETS)) $(if $(WAVES),-waves $(WAVES)) $(if $(WAIT),-wait $(WAIT)) $(if $(WINDOW),-window $(WINDOW)) $(if $(KEY),-key)

CFN_LINT := 1.58.0

.cache/cfn-lint-$(CFN_LINT)/bin/cfn-lint:
	@echo "==> cfn-lint $(CFN_LINT)"
	@python3 -m venv .cache/cfn-lint-$(CFN_LINT) || { echo "cfn-lint needs Python 3.9 or later, with venv" >&2; exit 1; }
	@.cache/cfn-lint-$(CFN_LINT)/bin/pip install --quiet --disable-pip-version-check cfn-lint==$(CFN_LINT)

.PHONY: cfn-lint
cfn-lint: synth .cache/cfn-lint-$(CFN_LINT)/bin/cfn-lint ## check the synthesised templates, and those of the tests (needs Python)
	@.cache/cfn-lint-$(CFN_LINT)/bin/cfn-lint
	@rm -rf .cache/golden && mkdir -p .cache/golden
	@for file in cdk/testdata/*.json.golden; do sed 's/<hash>/0/g' $$file >.cache/golden/$$(basename $$file .golden); done
	@.cache/cfn-lint-$(CFN_LINT)/bin/cfn-lint --template .cache/golden/*.json

.PHONY: lint
lint: ## run golangci-lint, in the version pinned in .ci/lint.mod
	@gofmt -l $$(git ls-files '*.go') | (! grep .) || (echo "gofmt these files" && exit 1)
	@$(LINT) run ./...

.PHONY: docs
docs: ## write the reference pages in docs/ from the Go code
	@go run ./docs/reference

.PHONY: golden
golden: node_modules/.package-lock.json ## write the templates that tests compare with anew
	@go test ./cdk -run 'TestStacks/.*/golden|TestLocalDeployment' -update

.PHONY: tidy
tidy: ## tidy go.mod and format the code
	@go mod tidy
	@gofmt -w $$(git ls-files '*.go')

.PHONY: verify
verify: tidy docs golden lint ## fail if tidying, the references or the goldens would change anything, or the linter refuses it
	@git diff --exit-code

.PHONY: clean
clean: ## remove what was built here (not the cache of control-plane binaries)
	@rm -rf dist cdk.out node_modules
