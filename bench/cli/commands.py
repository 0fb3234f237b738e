"""The commands: each turns its arguments into one call of the public functions and prints the outcome."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from signal import SIGTERM, default_int_handler, signal

from bench import api, plots
from bench.api.progress import bar
from bench.api.request import OWN_MODEL
from bench.cli import maps as maps_of
from bench.cli import output, own_data
from bench.cli.checking import check as check
from bench.core.errors import BenchError, RequestError
from bench.engine import loading
from bench.page import NAME as PAGE
from bench.report import pool
from bench.report import serve as server
from bench.report.terminal import NOTHING
from bench.report.writer import Writer


def run(arguments: argparse.Namespace) -> int:
    if not (arguments.all or arguments.task or arguments.method or arguments.metric or arguments.beside):
        raise RequestError("no task, method or metric was given; use --all, or some of --task, --method and --metric")
    start, maps = time.perf_counter(), maps_of.by_name(arguments.maps)
    problem = own_data.problem(arguments)
    with (
        Writer(
            arguments.out,
            pictures=not arguments.no_plots,
            svg=arguments.svg,
            workers=pool.usable(),
            made=lambda built: output.print_board(built.tables, arguments.out),
        ) as writer,
        output.notes_as_lines(),
    ):
        results = api.evaluate(
            problem,
            task=arguments.task if problem is None else None,
            name=arguments.name or own_data.word(arguments) or OWN_MODEL,
            methods=arguments.method,
            metrics=arguments.metric,
            maps=maps,
            beside=arguments.beside,
            profile=arguments.profile,
            samples=arguments.samples,
            budget=arguments.budget,
            seed=arguments.seed,
            precision=arguments.precision,
            out=arguments.out,
            device=arguments.device,
            batch_size=arguments.batch_size,
            fresh=arguments.fresh,
            data=arguments.data,
            offline=arguments.offline,
            plugins=arguments.plugins,
            finished=writer.task,
            command=shlex.join(["python", "-m", "bench", *arguments.words]),
            config=arguments.config,
        )
        with bar(None, unit="file") as shown:
            tables = writer.close(shown)
    assert results.outcome is not None
    if tables is None:
        print(NOTHING)
    output.print_run(results, time.perf_counter() - start, verbose=arguments.verbose)
    writer.check()
    return 1 if results.outcome.failed else 0


def report(arguments: argparse.Namespace) -> int:
    results = api.Results(arguments.out)
    loading.load_all(arguments.plugins)  # the page describes the methods
    if arguments.page:
        print(f"page: {results.report(arguments.page)}")
        return 0
    results.write(plots=not arguments.no_plots, svg=arguments.svg, workers=pool.usable())
    written = "leaderboards" if arguments.no_plots else "leaderboards and plots"
    print(f"{written} are in {arguments.out}; page: {arguments.out / PAGE}")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    signal(SIGTERM, default_int_handler)  # ends as Ctrl-C does, and removes the temporary page
    running, stop = server.start(arguments.out, arguments.port, arguments.plugins)
    print(f"{arguments.out} is served at http://{server.HOST}:{running.server_port}/ (stop with Ctrl-C)", flush=True)
    try:
        running.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        stop.set()
        running.server_close()
    return 0


def compare(arguments: argparse.Namespace) -> int:
    if arguments.csv and arguments.csv.is_dir():
        raise RequestError(f"--csv {arguments.csv} is a folder; the path of a file is needed")
    found = api.compare(
        arguments.before, arguments.after, task=arguments.task, methods=arguments.method, metrics=arguments.metric
    )
    for note in found.notes:
        print(f"bench: {note}", file=sys.stderr)
    print(found.markdown(everything=arguments.all), end="")
    if arguments.csv:
        output.write_table(found.table, arguments.csv)
    return 1 if found.regressed else 0


def pack(arguments: argparse.Namespace) -> int:
    file = api.pack(
        arguments.out, arguments.to, task=arguments.task, samples=arguments.samples, megabytes=arguments.megabytes
    )
    output.print_packed(file)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    plots.check_path(arguments.output)
    problem = own_data.problem(arguments)
    found = api.explain(
        problem,
        task=arguments.task if problem is None else None,
        name=arguments.name or own_data.word(arguments) or OWN_MODEL,
        sample=arguments.sample,
        input=arguments.input,
        target=arguments.target,
        methods=arguments.method,
        seed=arguments.seed,
        device=arguments.device,
        data=arguments.data,
        offline=arguments.offline,
        plugins=arguments.plugins,
    )
    found.save(arguments.output)
    for one in found.explanations:
        print(f"{one.method}: {one.note or f'{one.seconds:.3g} s'}")
    print(f"{found.caption}\n{arguments.output}")
    return 0 if found.maps else 1


def attribute(arguments: argparse.Namespace) -> int:
    methods = api.list_methods(arguments.method, plugins=arguments.plugins)
    problem, failed = own_data.problem(arguments), False
    for method, file in maps_of.files_for(methods, arguments.output).items():
        try:
            with output.notes_as_lines():
                maps = api.attribute(
                    arguments.task if problem is None else problem,
                    method,
                    name=arguments.name or own_data.word(arguments) or OWN_MODEL,
                    samples=arguments.samples,
                    out=file,
                    seed=arguments.seed,
                    device=arguments.device,
                    batch_size=arguments.batch_size,
                    data=arguments.data,
                    offline=arguments.offline,
                    plugins=arguments.plugins,
                )
        except RequestError:
            raise
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            failed = True
        else:
            print(f"{method}: {len(maps)} maps of shape {tuple(maps.shape[1:])} in {file}")
    return 1 if failed else 0


def sweep(arguments: argparse.Namespace) -> int:
    start = time.perf_counter()
    found = api.sweep(
        arguments.task,
        methods=arguments.method,
        profile=arguments.profile,
        samples=arguments.samples,
        baselines=arguments.baseline,
        features=arguments.features,
        seed=arguments.seed,
        out=arguments.out,
        device=arguments.device,
        batch_size=arguments.batch_size,
        fresh=arguments.fresh,
        data=arguments.data,
        offline=arguments.offline,
        plugins=arguments.plugins,
    )
    output.print_sweep(found, arguments.profile, time.perf_counter() - start)
    return 1 if found.outcome.failed else 0


def train(arguments: argparse.Namespace) -> int:
    path, history = api.train(
        arguments.task,
        out=arguments.out,
        weights_folder=arguments.to,
        epochs=arguments.epochs,
        seed=arguments.seed,
        device=arguments.device,
        data=arguments.data,
        offline=arguments.offline,
        plugins=arguments.plugins,
    )
    print(f"weights: {path} (test accuracy {history['test_accuracy'].iloc[-1]:.4f})")
    print(f"curves: {arguments.out / 'training'}/{arguments.task}.png")
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    found = api.evaluate_model(
        arguments.task,
        weights_file=arguments.weights,
        device=arguments.device,
        data=arguments.data,
        offline=arguments.offline,
        plugins=arguments.plugins,
    )
    folder = arguments.out / "evaluation"
    found.write(folder)
    print(found.table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print(f"written to {folder}/{found.task}.csv, {found.task}_confusion.png and {found.task}_roc.png")
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    number = api.fetch(arguments.task, data=arguments.data, offline=arguments.offline, plugins=arguments.plugins)
    print(f"{arguments.task}: {number} samples are available")
    return 0
