"""Answers to the exercise of notebook 11."""

from collections import Counter


def words(names):
    return {word for name in names for word in name.split()}


WRONG = {
    "check_put_together": [
        lambda names, known: [name in known for name in names],
        lambda names, known: [any(word in words(known) for word in name.split()) for name in names],
        lambda names, known: [all(word in " ".join(known) for word in name.split()) for name in names],
        lambda names, known: [any(set(name.split()) <= set(one.split()) for one in known) for name in names],
        lambda names, known: [not set(name.split()) <= words(known) for name in names],
        lambda names, known: [name for name in names if set(name.split()) <= words(known)],
        lambda names, known: [set(name) <= set("".join(known)) for name in names],
        lambda names, known: [name.split()[0] in words(known) for name in names],
        lambda names, known: [name.split()[-1] in words(known) for name in names],
        lambda names, known: [{name.split()[0], name.split()[-1]} <= words(known) for name in names],
        lambda names, known: [all(" " + word in " " + " ".join(known) for word in name.split()) for name in names],
        lambda names, known: [not Counter(name.split()) - Counter(" ".join(known).split()) for name in names],
        lambda names, known: [set(name.split()) <= words(known[:2]) for name in names],
        lambda names, known: [set(name.split()) <= words(known) for name in dict.fromkeys(names)],
        lambda names, known: [True, False, True],  # of the first case
    ],
}
