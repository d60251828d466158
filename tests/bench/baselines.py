"""What the project is measured against. These do not change once landed: a ratio needs a pinned baseline.

plain: the script a good user would write in an afternoon - Pillow, eager PyTorch in float32 and channels_last on two
threads, the layers in the paper's order (ReLU, then pool), a slide a batch, rows in sqlite3.

    python baselines.py plain SLIDES WEIGHTS.pt OUT.sqlite

plain_train: training as the same user would write it - a Dataset that standardises each picture as it is asked for (of
pictures already decoded), a DataLoader, NCHW float32, torch.optim.Adam; everything not said is the default.
"""

import sqlite3
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


TYPES = ["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"]


class PlainWNet(nn.Module):
    """W-Net as the paper draws it."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.6),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.6),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.6),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(64 * 16 * 16, 1024), nn.ReLU(), nn.Dropout(0.6), nn.Linear(1024, 5))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def plain_load(path):
    """One picture as the paper prepares it: (3, 128, 128) float32, zero mean, unit variance."""
    image = Image.open(path).convert("RGB")
    left, top = (image.width - 200) // 2, (image.height - 200) // 2
    image = image.crop((left, top, left + 200, top + 200)).resize((128, 128), Image.Resampling.BILINEAR)
    x = np.asarray(image, dtype=np.float32)
    return ((x - x.mean()) / x.std()).transpose(2, 0, 1)


def plain(slides, weights, out):
    """Classify every slide of a folder; a row a cell and a row a slide."""
    torch.set_num_threads(2)
    model = PlainWNet()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model = model.eval().to(memory_format=torch.channels_last)
    database = sqlite3.connect(out)
    database.execute(
        "CREATE TABLE cells (slide TEXT, file TEXT, type TEXT, p0 REAL, p1 REAL, p2 REAL, p3 REAL, p4 REAL)"
    )
    database.execute("CREATE TABLE slides (slide TEXT, n INT, p0 REAL, p1 REAL, p2 REAL, p3 REAL, p4 REAL)")
    for slide in sorted(p for p in slides.iterdir() if p.is_dir()):
        files = sorted(slide.glob("*.jpg"))
        batch = torch.from_numpy(np.stack([plain_load(f) for f in files])).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            p = torch.softmax(model(batch), 1).numpy()
        best = p.argmax(1)
        database.executemany(
            "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(slide.name, f.name, TYPES[k], *map(float, row)) for f, k, row in zip(files, best, p, strict=True)],
        )
        shares = 100 * np.bincount(best, minlength=5) / len(files)
        database.execute(
            "INSERT INTO slides VALUES (?, ?, ?, ?, ?, ?, ?)", (slide.name, len(files), *map(float, shares))
        )
        database.commit()


class PlainPictures(Dataset):
    """Decoded pictures (N, 128, 128, 3) uint8 and their types (N,), each picture with zero mean and unit variance."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        x = self.images[i].astype(np.float32)
        return ((x - x.mean()) / x.std()).transpose(2, 0, 1), self.labels[i]


def plain_train(model, images, labels, batch, shuffle=True):
    """Train for an epoch; gives the loss of each step."""
    loader = DataLoader(PlainPictures(images, labels), batch_size=batch, shuffle=shuffle)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    criterion = nn.CrossEntropyLoss()
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        yield loss.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    which, *paths = sys.argv[1:]
    {"plain": plain}[which](*map(Path, paths))
