import numpy as np
import pytest
from PIL import Image

from recipes.engine.errors import UserError
from recipes.engine.new import write_recipe
from recipes.engine.recipe_file import load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an awkward name and classes of 12 and 4 pictures of 50x50 pixels."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / 'my "pictures" \\ é'
    rng = np.random.default_rng(0)
    for name, count in (('a "quoted" class', 12), ("b", 4)):
        (source / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (50, 50, 3), dtype=np.uint8)).save(source / name / f"{i}.png")
    return source


def test_the_recipe_suits_the_data(folder):
    path = write_recipe("mine", folder)
    loaded = load(str(path))
    data, model = loaded.recipe.data, loaded.recipe.model
    assert (data.source, data.size, data.color, data.balance) == (str(folder), 50, "rgb", "weights")
    assert model.name == "mobilenet_v2"
    assert (loaded.recipe.transfer.weights, loaded.recipe.transfer.unfreeze) == ("torchvision", ("stem",))
    assert loaded.recipe.name == "mine"
    assert loaded.summary.startswith("mine: 2 classes")


def test_small_pictures_and_masks_start_from_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "small.npz", images=images, labels=np.arange(12) % 2)
    np.savez(tmp_path / "masks.npz", images=images, masks=(images > 128).astype("uint8"))
    for name, model in (("small", "resnet8"), ("masks", "unet_tiny")):
        recipe = load(str(write_recipe(f"my_{name}", tmp_path / f"{name}.npz"))).recipe
        assert (recipe.model.name, recipe.transfer.weights) == (model, "")


def test_an_existing_file_is_kept(folder):
    path = write_recipe("mine", folder)
    path.write_text("precious")
    with pytest.raises(UserError, match="--force"):
        write_recipe("mine", folder)
    assert path.read_text() == "precious"
    assert write_recipe("mine", folder, force=True).read_text() != "precious"


@pytest.mark.parametrize("name", ["1st", "a-b", "class", "numpy", "zoo", "json"])
def test_a_name_that_would_hide_a_module_is_refused(folder, name):
    with pytest.raises(UserError):
        write_recipe(name, folder)
