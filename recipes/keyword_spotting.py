"""Spoken words, one second at 16 kHz: from a folder of WAV files for each word to a spectrogram and an int8 DS-CNN.

Task: say which word a clip is.
Data: a folder in the layout of Google's Speech Commands (Warden 2018, arXiv:1804.03209, CC-BY-4.0): WORD/CLIP.wav,
    validation_list.txt and testing_list.txt: `edgezoo run keyword_spotting --data.source FOLDER`. Each word is a class.
Paper: Banbury et al. 2021, "MLPerf Tiny Benchmark", arXiv:2106.07597, table 1: the network, and 10 coefficients of the
    cepstrum every 20 ms. It asks 90 % of Speech Commands, of which it makes 12 classes: 10 words, silence, all others.
Result: not measured on speech, of which no set could be had. On SYNTHETIC tones, six "words" by 40 + 8 + 8 "speakers"
    of `python benchmarks/synthetic_words.py FOLDER`, accuracy on 144 test clips, mean and deviation of seeds 0 to 2:
    94.0 % ± 1.6 in float, 93.5 % ± 0.8 in int8, with `edgezoo run keyword_spotting --data.source FOLDER
    --train.batch-size 16 --train.seed N` (720 clips are too few for batches of 100). It says that the pipeline works,
    and nothing of words.
Time: 3 minutes of training on a shared core, of those 720 clips.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="keyword_spotting",
    data=Data(source="speech_commands", rate=16000, seconds=1.0, frame=0.03, hop=0.02, mels=40, coefficients=10),
    model=Model(name="mlperf_ds_cnn"),
    augment=Augment(),
    train=Train(epochs=36, batch_size=100, ema=0.98),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
