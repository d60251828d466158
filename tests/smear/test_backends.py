"""Which engines made the results of each bundle."""

from smear.backends import BackendUse, by_bundle
from smear.tables import BundleRow, DifferentialRow, RevisionRow, SlideRow, SourceRow, key, utc_now


def test_each_bundle_names_its_engines_and_how_many_results_each_made(store):
    with store.write() as session:
        source = SourceRow(name="default", layout="slides", geometry="di60")
        bundles = [BundleRow(bundle_id=f"wnet@{n}", folder="wnet", registered_at=utc_now()) for n in (1, 2)]
        session.add_all([source, *bundles])
        session.flush()
        slide = SlideRow(source_id=key(source.id), slide_id="S-1", folder="S-1", first_seen_at=utc_now())
        session.add(slide)
        session.flush()
        for number, backend in enumerate(["openvino-int8", "openvino-fp32", "openvino-fp32"]):
            revision = RevisionRow(slide=key(slide.id), number=number, arrived_at=utc_now())
            session.add(revision)
            session.flush()
            none = dict.fromkeys(
                ("total", "classified", "outside", "misfit", "unreadable", "neutrophil", "eosinophil", "basophil",
                 "lymphocyte", "monocyte"), 0)  # fmt: skip
            session.add(DifferentialRow(revision=key(revision.id), bundle=key(bundles[0].id), backend=backend,
                                        problems=[], created_at=utc_now(), **none))  # fmt: skip
        first = key(bundles[0].id)
    with store.read() as session:
        assert by_bundle(session) == {first: [BackendUse("openvino-fp32", 2), BackendUse("openvino-int8", 1)]}
    use = BackendUse("openvino-int8", 1)
    assert use.to_object() == {"backend": "openvino-int8", "engine": "openvino", "precision": "int8", "results": 1}
