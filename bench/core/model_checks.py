"""Is this a model that can be explained? Asked a few times before anything is computed.

Every RequestError says what was found, what is needed, and how to get it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.readouts import suggested
from bench.core.vocabulary import IDENTITY, SOFTMAX

ASKED = 4  # inputs that the model is asked about
HALF = (torch.float16, torch.bfloat16)
SAME = 1e-3  # of the largest logit: rounding of sums in another order is far smaller, a draw or a count far larger
STRETCHES = (-3.0, 10.0)  # of the inputs and of noise: probabilities stay in [0, 1] whatever is asked


def check_weights(model: nn.Module) -> None:
    """Raises RequestError where weights are missing, not finite, in half precision, or the model stays in train mode."""
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        if values.is_meta:
            raise RequestError(f"weight '{name}' is on the meta device and holds no values; load the weights first")
        if not values.is_floating_point():
            continue
        if values.dtype in HALF:
            raise RequestError(
                f"weight '{name}' is {str(values.dtype).removeprefix('torch.')}, in which perturbations drown in rounding; "
                "give the model with float32 weights: model.float()"
            )
        bad = values.detach()[~values.isfinite()]
        if len(bad):
            raise RequestError(
                f"weight '{name}' is not finite ({len(bad)} of {values.numel()} values, for example {float(bad[0]):g}); "
                "load or train the model again"
            )
    training = next((name for name, module in model.named_modules() if module.training), None)
    if training is not None:
        raise RequestError(
            f"{f'module {training!r}' if training else 'the model'} stays in train mode after model.eval(); let its train() "
            "method accept False, so that dropout and batch norm are fixed"
        )


def checked_logits(model: nn.Module, inputs: Tensor, output: str) -> Tensor:
    """The model's answers to the first few inputs: (B, K).

    Raises RequestError unless they are finite logits that depend on each input alone, and that mean what `output` says.
    """
    few = inputs[:ASKED]
    answers = _asked(model, few)
    _check_form(answers, few)
    if not answers.isfinite().all():
        bad = float(answers[~answers.isfinite()][0])
        raise RequestError(f"the model's logits hold {bad:g}; check its weights and the range of the inputs")
    if not _alike(answers, _asked(model, few)):
        raise RequestError(
            "the model gives two answers to the same input; it must not draw random numbers (F.dropout needs "
            "training=self.training) or change its buffers when it predicts"
        )
    if len(few) > 1 and not _alike(answers[:1], _asked(model, few[:1])):
        raise RequestError(
            "the model's answer to an input depends on the other inputs of the batch; it must not compute means over the batch "
            "when it predicts"
        )
    _check_meaning(model, few, answers, output)
    return answers


def _asked(model: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            answers = model(inputs.clone())
    except RequestError:  # of a readout
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise RequestError(
            f"the model cannot take inputs of shape {tuple(inputs.shape)}: {type(error).__name__}: {text}"
        ) from error
    return answers


def _check_form(answers: object, inputs: Tensor) -> None:
    """One tensor (N, K)."""
    if not isinstance(answers, Tensor):
        keys = f" with the keys {list(answers)[:5]}" if isinstance(answers, dict) else ""
        raise RequestError(
            f"the model returns {type(answers).__name__}{keys}; one tensor of logits (N, classes) is needed: name it with "
            f"`readout`, for example {suggested(answers, len(inputs))}"
        )
    shape = tuple(answers.shape)
    found = f"the model returns the shape {shape} for {_inputs(len(inputs))}; logits (N, classes) are needed"
    if shape == (len(inputs),):
        raise RequestError(f"{found}; give output='sigmoid' for the logit of a class, output='identity' for a value")
    if len(shape) < 2 or len(answers) != len(inputs):
        raise RequestError(found)
    if len(shape) > 2:
        over = tuple(range(2, len(shape)))
        raise RequestError(
            f"{found}: take them with `readout`, for example "
            f"readout=lambda answer: answer.mean({over if len(over) > 1 else over[0]})"
        )


def _check_meaning(model: nn.Module, inputs: Tensor, answers: Tensor, output: str) -> None:
    """Logits where logits are expected."""
    if answers.shape[1] == 1 and output == SOFTMAX:
        raise RequestError(
            "the model returns one value for each input, whose softmax is always 1; give output='sigmoid' where it is the "
            "logit of a class, or output='identity' where it is a value (a regression)"
        )
    if output == IDENTITY or not _bounded(answers):
        return
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0)).to(inputs)
    others = torch.cat([_asked(model, stretch * values) for values in (inputs, noise) for stretch in STRETCHES])
    stretched = torch.cat([answers, others])
    constant = bool((stretched == stretched[0]).all())  # no answer at all
    if constant or not _bounded(stretched):
        return
    if output == SOFTMAX and torch.allclose(stretched.sum(1), torch.ones_like(stretched[:, 0]), atol=1e-4):
        raise RequestError(
            "the model returns probabilities (values in [0, 1] that sum to 1) where logits are needed; return the values "
            "before the softmax, or their logarithm: readout=lambda p: p.clamp_min(1e-12).log()"
        )
    raise RequestError(
        "the model returns values in [0, 1] whatever it is asked, probabilities, where logits are needed; return the values "
        "before the sigmoid, with output='sigmoid'"
    )


def _bounded(answers: Tensor) -> bool:
    return bool(((answers >= 0) & (answers <= 1)).all())


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= SAME * one.abs().max().clamp_min(1e-6))


def _inputs(number: int) -> str:
    return "one input" if number == 1 else f"{number} inputs"
