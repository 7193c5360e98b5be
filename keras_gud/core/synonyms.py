"""What users of other libraries type: only ever suggested in errors, never taken in silence."""

from collections.abc import Collection

# By what is typed, in lower case; of several meanings that counts which is known where it is typed.
_MEANINGS: dict[str, tuple[str, ...]] = {
    # Bases.
    "fft": ("fourier",),
    "hartley": ("fourier",),
    "cosine_transform": ("dct",),
    "wavelet": ("haar",),
    "wavelets": ("haar",),
    "dwt": ("haar",),
    "karhunen_loeve": ("pca",),
    "identity": ("pixel",),
    "none": ("pixel", "isotropic"),
    # Schedules and presets.
    "ddpm": ("vp",),
    "ncsn": ("ve", "edm"),
    "smld": ("ve", "edm"),
    "karras": ("edm",),
    "rectified_flow": ("flow", "flow_matching"),
    "flow_matching": ("flow",),
    "autoregressive": ("sequential", "groupwise"),
    "causal": ("sequential", "rolling"),
    "coarse_to_fine": ("hierarchical", "cascaded"),
    "vdm": ("learned", "variational"),
    # Samplers.
    "euler": ("euler_maruyama",),
    "ddpm_sampler": ("ancestral",),
    "dpm": ("dpm++",),
    "dpmsolver++": ("dpm++",),
    "sde": ("dpm++sde",),
    "ode": ("dpm++",),
    "dopri5": ("tsit5",),
    "rk45": ("tsit5",),
    "pc": ("predictor_corrector",),
    # Networks, predictions and weightings.
    "unet": ("small",),
    "transformer": ("dit-small",),
    "dit": ("dit-small",),
    "ddpmpp": ("ncsnpp",),
    "epsilon": ("eps",),
    "noise": ("eps",),
    "velocity": ("v",),
    "v_prediction": ("v",),
    "sample": ("x0",),
    "elbo": ("likelihood",),
    "nll": ("likelihood",),
    # Arguments.
    "num_classes": ("classes",),
    "n_classes": ("classes",),
    "network": ("backbone",),
    "model": ("backbone",),
    "denoiser": ("backbone",),
    "image_size": ("data_shape",),
    "input_shape": ("data_shape",),
    "noise_schedule": ("schedule",),
    "beta_schedule": ("schedule",),
    "transform": ("basis",),
    "whitening": ("prior",),
    "prediction_type": ("prediction",),
    "objective": ("prediction",),
    "loss_weighting": ("weighting",),
    "ema": ("ema_decay",),
    "random_state": ("seed",),
    "num_samples": ("n",),
    "n_samples": ("n",),
    "num_images": ("n",),
    "num_steps": ("steps",),
    "n_steps": ("steps",),
    "timesteps": ("steps",),
    "num_inference_steps": ("steps",),
    "sampling_timesteps": ("steps",),
    "guidance_scale": ("guidance",),
    "cfg_scale": ("guidance",),
    "class_labels": ("labels",),
    "classes": ("labels",),
    "y": ("labels",),
    "solver": ("sampler",),
    "return_trajectory": ("states",),
}


def meaning(word: str, known: Collection[str]) -> str | None:
    """What a word of other libraries is called here, if it is one of the known names.

    >>> meaning("num_inference_steps", ["seed", "steps"])
    'steps'
    """
    plain = word.lower().replace("-", "_").replace(" ", "_")
    candidates = _MEANINGS.get(plain, ())
    return next((name for name in candidates if name in known), None)
