"""Sizes of what `accelerator.py` measures, on an accelerator and in a trial."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    """What is measured.

    Attributes:
        networks: Names of backbones.
        sizes: Pairs of the edge of colour images and the batch.
        dtypes: Of the networks.
        steps: Training steps in one round.
        rounds: Rounds, in each of which both sides run in turn.
        product: Edge of the matrices whose product is the peak.
        precisions: Of what is compared with the CPU.
        samples: Samples drawn at a time.
        sampler_steps: Steps of the sampler.
        memory: Name of the backbone, edge and batch whose memory is measured.
        race_minutes: Of training.
        race_examples: Of the data, `None` for all.
        compiled: Whether the plain networks of PyTorch are compiled.
        tests: Files of tests.
        in_process: Whether all runs in one process, which saves the time of imports; figures of
            memory and of first steps then mean nothing.
    """

    networks: list[str] = field(default_factory=lambda: ["small", "base", "dit-small", "ncsnpp"])
    sizes: list[list[int]] = field(default_factory=lambda: [[32, 256], [64, 64]])
    dtypes: list[str] = field(default_factory=lambda: ["bfloat16", "float32"])
    steps: int = 8
    rounds: int = 5
    product: int = 8192
    precisions: list[str] = field(default_factory=lambda: ["float32", "tf32", "bfloat16"])
    samples: int = 256
    sampler_steps: int = 50
    memory: list = field(default_factory=lambda: ["base", 64, 64])
    race_minutes: float = 3.0
    race_examples: int | None = None
    compiled: bool = True
    tests: list[str] = field(
        default_factory=lambda: ["tests/diffusion", "tests/bases", "tests/models/test_fit.py"]
    )

    in_process: bool = False

    @classmethod
    def quick(cls) -> "Settings":
        """So small that a CPU does all of it in seconds."""
        return cls(
            networks=["tiny"],
            sizes=[[8, 4]],
            dtypes=["float32"],
            steps=2,
            rounds=1,
            product=128,
            precisions=["bfloat16"],
            samples=2,
            sampler_steps=2,
            memory=["tiny", 8, 2],
            race_minutes=0.01,
            race_examples=8,
            compiled=False,
            tests=[],
            in_process=True,
        )
