"""Several devices with `tf.distribute.MirroredStrategy`, several hosts with the multi-worker one.

    python examples/distributed/on_tensorflow.py              # all GPUs of this host
    python examples/distributed/on_tensorflow.py --cpus 2     # try it: two virtual CPUs

Where the environment has a TF_CONFIG, each host runs the same command, and they train together.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf
import training


def main():
    """Makes the model within the strategy's scope, then trains as on one device."""
    parser = training.arguments(__doc__)
    parser.add_argument("--cpus", type=int, default=0, help="virtual CPU devices")
    given = parser.parse_args()
    devices = None
    if given.cpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(given.cpus)]
        tf.config.set_logical_device_configuration(cpu, parts)
        devices = [f"CPU:{i}" for i in range(given.cpus)]
    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        task = strategy.cluster_resolver.task_id
        given.out = given.out.with_name(f"{given.out.name}-{task}")
    else:
        strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        model = training.build(given.quick)
    results = training.run(model, given.out, given.quick)
    print(f"{strategy.num_replicas_in_sync} replicas, losses {results['losses']}")


if __name__ == "__main__":
    main()
