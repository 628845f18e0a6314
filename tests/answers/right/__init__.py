"""Right answers by three who had not seen the solutions."""

from tests.answers.right import first, second, third

RIGHT = {name: [each.ANSWERS[name] for each in (first, second, third)] for name in first.ANSWERS}
