"""Several devices, or several hosts, with `keras.distribution` on jax.

python examples/distributed/on_jax.py                               # all devices that there are
python examples/distributed/on_jax.py --cpus 4                      # try it: four virtual CPUs
python examples/distributed/on_jax.py --cpus 4 --model-parallel 2   # weights divided in two
python examples/distributed/on_jax.py --hosts 2 --host 0 --address first.host:1234   # one each
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import training


def main():
    """Sets the devices up, then trains as on one."""
    parser = training.arguments(__doc__)
    parser.add_argument("--cpus", type=int, default=0, help="virtual CPU devices")
    parser.add_argument("--model-parallel", type=int, default=1, help="devices for one model")
    parser.add_argument("--hosts", type=int, default=1, help="number of processes")
    parser.add_argument("--host", type=int, default=0, help="which of them this is")
    parser.add_argument("--address", default="localhost:12345", help="of process 0")
    given = parser.parse_args()
    if given.cpus:  # before jax looks at its devices
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={given.cpus}"
    import keras

    if given.hosts > 1:
        keras.utils.set_random_seed(0)
        keras.distribution.initialize(given.address, given.hosts, given.host)
    devices = keras.distribution.list_devices()
    if given.model_parallel > 1:
        from keras_gud import backbones

        shape = len(devices) // given.model_parallel, given.model_parallel
        mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"), devices)
        layout = backbones.layout_map(mesh)
        distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    else:
        distribution = keras.distribution.DataParallel(devices=devices)
    keras.distribution.set_distribution(distribution)
    model = training.build(given.quick)
    if given.hosts > 1:
        given.out = given.out.with_name(f"{given.out.name}-{given.host}")
    results = training.run(model, given.out, given.quick)
    print(f"{len(devices)} devices, losses {results['losses']}")


if __name__ == "__main__":
    main()
