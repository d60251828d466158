"""Everything about a training run that a person chose, in one frozen object that is saved with the result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """How a training picture is changed before each look at it; every number is a half-width around "unchanged".

    A cell has no orientation, so one of the eight dihedral views is always drawn. `warped_share` of the pictures are
    also turned by any angle, scaled (log-uniform within +-`scale`) and shifted (+-`shift_px`). Colour imitates other
    cameras and stains: a gain and a black level a channel, a stain density a channel (exponent of the intensity, which
    is a factor on optical density), hue (radians) and saturation.
    """

    warped_share: float = 0.5
    scale: float = 0.15
    shift_px: float = 6.0
    gain: float = 0.15
    black_level: float = 0.03
    stain: float = 0.25
    hue: float = 0.25
    saturation: float = 0.4


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters; the default is the short schedule that notes in LOG.md chose.

    `learning_rate` is Adam's peak, reached after `warmup_epochs`, falling to zero on a cosine. Dropout rates are
    probabilities to drop. `logit_adjustment` adds that multiple of log(share of the type) to the logits while training
    (Menon et al., 2021), so that the small class is not starved. `average_epochs` is the time constant of the moving
    average of the weights, which is what is kept. `inner_share` of the training part is kept apart for calibration.
    """

    epochs: int = 40
    batch: int = 64
    learning_rate: float = 3.6e-4
    warmup_epochs: float = 1.0
    conv_drop: float = 0.1
    dense_drop: float = 0.4
    whole_channels: bool = True
    label_smoothing: float = 0.0
    logit_adjustment: float = 0.5
    average_epochs: float = 2.0
    inner_share: float = 0.05
    augmentation: Augmentation = Augmentation()
