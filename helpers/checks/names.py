"""Check of notebook 11: which names can be put together from the words of other names."""

from collections.abc import Callable

from helpers.checks.verdicts import Verdict, check, tried


@check
def check_put_together(possible: Callable[[list[str], list[str]], list[bool]]) -> Verdict:
    """`possible(names, known)`: for each name whether each of its words stands in some known name."""

    def words(known: list[str]) -> set[str]:
        return {word for name in known for word in name.split()}

    def solution(names: list[str], known: list[str]) -> list[bool]:
        return [set(name.split()) <= words(known) for name in names]

    cases = [
        (["blue heart", "green heart", "blue book"], ["blue book", "red heart"]),
        (["man", "woman cook", "cook"], ["woman", "man cook"]),
        (["man", "art"], ["woman", "heart"]),
        (["red heart", "heart red"], ["red heart"]),
        (["cara de gato", "gato"], ["cara de mono", "gato"]),
        (["two clocks"], ["two", "clock"]),
        (["blue heart", "red"], []),
        (["big red book", "big red moon"], ["big moon", "red moon", "moon big red"]),
        ([], ["red heart"]),
        (["cara y gato", "clock"], ["cara de gato", "clocks"]),
        (["red", "blue", "green"], ["red", "blue", "green"]),
        (["red red heart", "green heart", "green heart"], ["red heart"]),
        (["heart-eyes"], ["heart", "eyes"]),
    ]
    mistakes = [
        (lambda n, k: [name in k for name in n], "Did you look for the whole name? Then nothing new is possible."),
        (
            lambda n, k: [bool(set(name.split()) & words(k)) for name in n],
            "Is one known word enough? Each must be known.",
        ),
        (
            lambda n, k: [all(word in " ".join(k) for word in name.split()) for name in n],
            "Did you look for letters? \"man\" stands inside \"woman\", and is another word.",
        ),
        (
            lambda n, k: [any(set(name.split()) <= set(one.split()) for one in k) for name in n],
            "Must one name hold all the words? Each may come from another one.",
        ),
        (lambda n, k: [not each for each in solution(n, k)], "Did you answer which are impossible?"),
        (lambda n, k: [name for name in n if solution([name], k)[0]], "Give True or False for each name, in order."),
        (
            lambda n, k: [i for i, each in enumerate(solution(n, k)) if each],
            "Give True or False for each name, in order.",
        ),
        (lambda n, k: [set(name.split()) <= set(k) for name in n], "Did you split the known names into words, too?"),
        (lambda n, k: sum(solution(n, k)), "Give True or False for each name, in order."),
        (lambda n, k: all(solution(n, k)), "Give True or False for each name, in order."),
    ]  # fmt: skip
    shows = "More than this share of names no vocabulary of whole words can reach."
    return tried(possible, solution, cases, shows, mistakes)
