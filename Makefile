# Every target is PHONY: `features` is also a folder, and make would call it up to date.
.PHONY: help setup demo about manifest doctor audit weights features status share pull verify stale import export fuse sweep compare table page predict check test bench docs lock

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# A recipe names its own corpora; only a corpus that was said replaces them.
CORPUS_SAID := $(CORPUS)
MODEL_SAID := $(MODEL)
CORPUS ?= demo
MODEL ?= lefsa
# Nothing is fetched at run time; whatever tries says so at once instead of waiting for a time-out.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export PYTHONWARNINGS ?= ignore

help:  ## show this
	@echo "Frozen features extracted once, fusion models trained in minutes."
	@echo
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo "  make manifest CORPUS=meld ROOT=/data/MELD.Raw"
	@echo "  make manifest CORPUS=folder ROOT=/data/mine NAME=mine SPLITS=/data/mine/split.csv"
	@echo "  make features CORPUS=meld ROOT=/data/MELD.Raw ENCODERS=minilm,mfcc DRY=1 LIMIT=20 SPLIT=dev CLIPS=ids.txt"
	@echo "  make fuse MODEL=lefsa CORPUS=meld SEEDS=5 SET=\"train.lr=3e-4 train.epochs=40\""
	@echo "  make fuse MODEL=table1 CORPUS=demo"
	@echo "  make predict CLIP=talk.mp4 RUN=.runs/lefsa-meld-1c2d3e4f TEXT=\"Well, well.\""
	@echo "  make sweep MODEL=concat CORPUS=meld OVER=\"train.lr=1e-3,3e-4 config.width=64,128\""
	@echo
	@echo "  make share TO=/lab/features CORPUS=meld; make pull FROM=ssh://lab/data/features CORPUS=meld ENCODERS=minilm"
	@echo "  make import FORMAT=mmsa FROM=aligned_50.pkl CORPUS=mosi AS=\"vision=facet audio=covarep\" LABELS=mosi/labels.csv"
	@echo
	@echo "  FEATURES_ROOT, MANIFESTS_ROOT and RUNS_ROOT move the cache, the manifests and the runs."

setup: $(VENV)/ready  ## install everything into .venv, from the hashed lock

$(VENV)/ready: requirements.lock
	@echo "setting up $(VENV); this fetches several GB, once"
	@began=$$(date +%s); $(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + "; say PYTHON=python3.12" if sys.version_info < (3, 11) else 0)' \
	&& $(PYTHON) -m venv $(VENV) \
	&& sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock \
	&& $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock \
	&& $(PY) -m uv pip sync --quiet --system-certs --require-hashes --compile-bytecode requirements.lock; status=$$?; \
	[ $$status -eq 0 ] && touch $@ && echo "packages fetched and installed in $$(( $$(date +%s) - began )) s"; exit $$status

demo: setup  ## the whole line on the built-in demo corpus: manifest, features, fusion, report
	@began=$$(date +%s); \
	$(PY) -m manifests demo && $(PY) -m extract run demo && $(PY) -m fuse lefsa --corpus demo \
	&& echo "make demo took $$(( $$(date +%s) - began )) s after setup"

READ = $(CORPUS) $(if $(ROOT),--root '$(ROOT)') $(if $(SPLITS),--splits '$(SPLITS)') \
	$(if $(SET),--set $(foreach setting,$(SET),'$(setting)'))

manifest: setup  ## read a corpus as it lies on the disk: CORPUS= ROOT= SET="option=value" SPLITS=list.csv NAME=
	@$(PY) -m manifests $(READ) $(if $(NAME),--name '$(NAME)')

about: setup  ## what a corpus is, how it must lie, its options, its quirks: CORPUS=
	@$(PY) -m manifests about $(CORPUS)

doctor: setup  ## is the corpus whole, and as it was published? CORPUS= ROOT= DEEP=1 decodes every clip
	@$(PY) -m manifests doctor $(READ) $(if $(DEEP),--deep)

audit: setup  ## what do a corpus' splits share? speakers, dialogues, sentences, takes, texts: CORPUS=
	@$(PY) -m manifests audit $(CORPUS)

weights: setup  ## fetch weights that no package carries, after asking: ENCODERS= (or all) YES=1
	@$(PY) -m extract weights $(if $(ENCODERS),'$(ENCODERS)') $(if $(YES),--yes)

features: setup  ## extract what the cache lacks: CORPUS= ROOT= ENCODERS= PRECISION= WORKERS= CLUSTER= DRY=1 RETRY=1
	@$(PY) -m extract run $(CORPUS) $(if $(ROOT),--root '$(ROOT)') $(if $(ENCODERS),--encoders '$(ENCODERS)') \
	$(if $(SPLIT),--split '$(SPLIT)') $(if $(LIMIT),--limit $(LIMIT)) $(if $(CLIPS),--clips '$(CLIPS)') \
	$(if $(PRECISION),--precision $(PRECISION)) $(if $(DEVICE),--device $(DEVICE)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(CLUSTER),--cluster '$(CLUSTER)') \
	$(if $(DRY),--dry) $(if $(RETRY),--retry) $(if $(DEEP),--deep)

status: setup  ## how far extraction is, read from the cache alone: CORPUS=
	@$(PY) -m extract status $(CORPUS)

COPY = '$(CORPUS_SAID)' $(if $(ENCODERS),--encoders '$(ENCODERS)') $(if $(DRY),--dry) $(if $(RENEW),--renew)

share: setup  ## copy to a shared cache what it lacks: TO=/lab/features (or ssh://, s3://) CORPUS= ENCODERS= DRY=1 RENEW=1
	@$(PY) -m features push '$(TO)' $(COPY) $(if $(HOLDS),--holds $(HOLDS))

pull: setup  ## copy from a shared cache what is lacking here: FROM=/lab/features (or ssh://, s3://, https://) CORPUS= ENCODERS= DRY=1
	@$(PY) -m features pull '$(FROM)' $(COPY)

verify: setup  ## read every part of the cache and compare its digest: CORPUS=
	@$(PY) -m features verify $(CORPUS_SAID)

stale: setup  ## what has changed since it was cached, and the command that refreshes it: CORPUS=
	@$(PY) -m features stale $(CORPUS_SAID) $(if $(DEEP),--deep)

import: setup  ## another tool's features become entries: FORMAT=mmsa FROM=file CORPUS= AS="vision=facet" SET= LABELS=out.csv
	@$(PY) -m features import $(FORMAT) '$(FROM)' --corpus $(CORPUS) $(if $(AS),--as $(foreach name,$(AS),'$(name)')) \
	$(if $(SET),--set $(foreach setting,$(SET),'$(setting)')) $(if $(LABELS),--labels-out '$(LABELS)') $(if $(ZEROS),--zeros)

export: setup  ## write features for another tool, with labels: FORMAT=mmsa TO=file CORPUS= ENCODERS="vision=facet minilm" HOW=clip
	@labels=$$(mktemp) && $(PY) -m manifests table $(CORPUS) -o $$labels.csv > /dev/null \
	&& $(PY) -m features export $(FORMAT) '$(TO)' --corpus $(CORPUS) --labels $$labels.csv $(if $(HOW),--how $(HOW)) \
	$(if $(ENCODERS),--entries $(foreach entry,$(ENCODERS),'$(entry)')) \
	$(if $(SET),--set $(foreach setting,$(SET),'$(setting)')); status=$$?; rm -f $$labels $$labels.csv; exit $$status

FUSE = $(MODEL) $(if $(CORPUS_SAID),--corpus '$(CORPUS_SAID)') $(if $(ENCODERS),--encoders $(foreach encoder,$(ENCODERS),'$(encoder)')) \
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(FOLDS),--folds $(FOLDS)) $(if $(ROWS),--rows '$(ROWS)') \
	$(if $(SET),--set $(foreach setting,$(SET),'$(setting)')) $(if $(FROM),--from '$(FROM)') $(if $(EVAL),--eval) $(if $(FRESH),--fresh)

fuse: setup  ## train from the cache and report: MODEL= CORPUS= ENCODERS="audio=mfcc" SEEDS= FOLDS= ROWS= SET="key=value" FROM= EVAL=1 FRESH=1
	@$(PY) -m fuse $(FUSE)

sweep: setup  ## try every combination, choose on dev: MODEL= CORPUS= OVER="train.lr=1e-3,3e-4 config.width=64,128", all that fuse takes
	@$(PY) -m fuse sweep $(FUSE) --over $(foreach list,$(OVER),'$(list)')

compare: setup  ## lay finished runs side by side, clip by clip: RUNS="folder folder" OUT=file
	@$(PY) -m fuse compare $(foreach run,$(RUNS),'$(run)') $(if $(OUT),--out '$(OUT)')

table: setup  ## a paper's table filled from the runs that are finished, for reading, for the web, for LaTeX: MODEL=table1 CORPUS= OUT=
	@$(PY) -m fuse table $(if $(MODEL_SAID),'$(MODEL_SAID)') $(if $(CORPUS_SAID),--corpus '$(CORPUS_SAID)') $(if $(OUT),--out '$(OUT)')

page: setup  ## a page of the cache and the runs, for a browser or a web server: CORPUS= OUT=.page
	@$(PY) -m fuse page $(CORPUS_SAID) --out '$(or $(OUT),.page)'

predict: setup  ## score a clip, a folder or a long recording of your own: CLIP= RUN=.runs/folder TEXT= LANGUAGE= CUT=30 WORK= OUT=
	@$(PY) -m fuse predict '$(RUN)' '$(CLIP)' $(if $(TEXT),--text "$$TEXT") $(if $(LANGUAGE),--language '$(LANGUAGE)') \
	$(if $(CUT),--cut $(CUT)) $(if $(WORK),--work '$(WORK)') $(if $(OUT),--out '$(OUT)')

check: setup  ## lint, format, types
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy

test: setup  ## the default tests; SLOW=1 runs the slow tier instead
	@PYTHONWARNINGS=default $(PY) -m pytest -q -m '$(if $(SLOW),,not )slow'

bench: setup  ## measure speed against the plain way and the floors (docs/benchmarks.md): ONLY=
	@$(PY) tests/bench/run.py $(ONLY)

docs: setup  ## build the site of these docs into .docs/
	@$(PY) -m sphinx -q -W --keep-going -b html docs .docs && echo "the site: .docs/index.html"

lock: setup  ## resolve pyproject.toml anew into requirements.lock
	@$(PY) -m uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-header \
	--no-emit-index-url --quiet -o requirements.lock
