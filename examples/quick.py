"""`--quick` of the examples: other defaults, with which one only shows that it runs."""


def parse_arguments(parser, **quick):
    """The command line, with the option `--quick`.

    Args:
        parser: An `argparse.ArgumentParser`.
        **quick: What the defaults are with it.
    """
    parser.add_argument("--quick", action="store_true", help=f"a trial: {quick}")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(**quick)
    return parser.parse_args()
