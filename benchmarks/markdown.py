"""Tables in Markdown, and the places in the READMEs where programs write them."""

from datetime import date

from benchmarks.peer_frameworks import PEERS


def markdown(rows):
    """Return rows of cells as a table; the first row is the head."""
    # the reason of a failure may contain the character that ends a cell
    cells = [[cell.replace("|", "/") for cell in row] for row in rows]
    cells.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def caption(groups, processor):
    """Return the line below a table of peers: unit, rounds, processor, peaks and versions."""
    peaks, versions, rounds = {}, {}, 0
    for results, _ in groups:
        for peer, result in results.items():
            rounds = max(rounds, len(result.seconds))
            peaks.setdefault(result.threads, []).extend(result.peaks)
            if result.version:
                versions[PEERS[peer].title] = result.version
    peak = ", ".join(f"{n}: {max(peaks[n]) / 1e9:.0f}" for n in peaks if peaks[n])
    versions = ", ".join(f"{title} {version}" for title, version in versions.items())
    what = f"Microseconds per step in float32, medians of {rounds} rounds"
    what = f"{what}, on {processor}, {date.today()}"
    return f"{what}; peak in GFLOP/s by threads: {peak}. {versions}."


def write_between(path, name, text):
    """Write a text between the marks ``<!-- name -->`` and ``<!-- /name -->`` of a file.

    Raises
    ------
    ValueError
        If the file lacks a mark.
    """
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begin, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise ValueError(f"{path}: expected the lines {marks[0]!r} and {marks[1]!r}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
