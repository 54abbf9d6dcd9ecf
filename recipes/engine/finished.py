"""The commands that use a finished run: predict, generate, neighbours, evaluate, export."""

from pathlib import Path

import tyro

from recipes.engine.errors import UserError
from recipes.engine.quiet import import_keras
from recipes.engine.records import Quantize


def predict_command(args: list[str]) -> None:
    """Answer new examples with a run's model, or with its file for the device (--lite)."""

    def predict(
        run: tyro.conf.Positional[Path],
        examples: tyro.conf.Positional[tuple[str, ...]],
        /,
        lite: bool = False,
        top: int = 3,
        output: Path = Path(),
    ) -> None:
        """Answer new examples.

        Args:
            run: a run folder, a .keras or a .tflite file.
            examples: image files; .csv or .npy files of series; .wav files; texts, or .txt files of them.
            lite: use the run's model.tflite.
            top: how many classes to rank.
            output: folder for masks, NAME_mask.png.
        """
        import_keras()
        from recipes.engine.predict import predict as answer

        if not examples:
            raise UserError("of what? usage: edgezoo predict RUN IMAGE|SERIES|CLIP|TEXT [… more] [--lite]")
        for line in answer(run, list(examples), lite=lite, top=top, output=output):
            print(line)

    tyro.cli(predict, args=args, prog="edgezoo predict")


def generate_command(args: list[str]) -> None:
    """Go on with a text, by a run that learnt a language."""

    def generate(
        run: tyro.conf.Positional[Path],
        prompt: tyro.conf.Positional[str],
        count: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        lite: bool = False,
    ) -> None:
        """Go on with a text; it is printed as it comes.

        Args:
            run: a run folder, a .keras or a .tflite file.
            prompt: the beginning, or a .txt file of it.
            count: tokens to add.
            temperature: 0 always takes the likeliest token; above 1 is bolder.
            top_k: draw from so many likeliest tokens only.
            top_p: draw from the likeliest tokens that have this probability together, above 0 to 1.
            seed: of the draws.
            lite: use the run's model.tflite.
        """
        import_keras()
        from recipes.engine.generate import told

        said = told(run, prompt, count=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, lite=lite)
        for piece in said:
            print(piece, end="", flush=True)
        print()

    tyro.cli(generate, args=args, prog="edgezoo generate")


def neighbours_command(args: list[str]) -> None:
    """Name the words nearest to a word, by a run that learnt their vectors."""

    def neighbours(run: tyro.conf.Positional[Path], word: tyro.conf.Positional[str], count: int = 10) -> None:
        """Name the nearest words, with the cosine of the angle between the vectors.

        Args:
            run: a run folder or a .keras file.
            word: one that was learnt.
            count: how many neighbours.
        """
        import_keras()
        from recipes.engine.neighbours import near

        for name, cosine in near(run, word, count=count):
            print(f"{cosine:.3f}  {name}")

    tyro.cli(neighbours, args=args, prog="edgezoo neighbours")


def evaluate_command(args: list[str]) -> None:
    """Judge a run's models anew on its validation and test data."""

    def evaluate(run: tyro.conf.Positional[Path], data: str | None = None) -> None:
        """Judge a run's models.

        Args:
            run: a run folder.
            data: another data source with the same classes, of which every split is judged.
        """
        import_keras()
        from recipes.engine.again import evaluate_again

        evaluate_again(run, data)

    tyro.cli(evaluate, args=args, prog="edgezoo evaluate")


def export_command(args: list[str]) -> None:
    """Export a run's model once more, in another number format."""

    def export(
        run: tyro.conf.Positional[Path],
        quantize: Quantize = "int8",
        output: Path | None = None,
    ) -> None:
        """Export and verify.

        Args:
            run: a run folder.
            quantize: number format.
            output: file to write; RUN/model_FORMAT.tflite when left out.
        """
        import_keras()
        from recipes.engine.again import export_again

        export_again(run, quantize, output or run / f"model_{quantize}.tflite")

    tyro.cli(export, args=args, prog="edgezoo export")
