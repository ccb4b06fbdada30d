import greeter
import pytest

from lambdamesh import InvalidParams, sync


def test_the_greeter(lambdamesh_node):
    with sync.connect(lambdamesh_node.url) as mesh:
        fn = mesh.expose(greeter)
        assert mesh.call(fn.id, "hello", "Ada") == "hello, Ada"
        assert list(mesh.stream(fn.id, "count", 2)) == [1, 2]
        with pytest.raises(InvalidParams, match=r"\$\.height"):
            mesh.call(fn.id, "area", {"width": 2, "height": "x"})


def test_a_caller(lambdamesh_node, lambdamesh_provider):
    shop = lambdamesh_provider({"order": 2})
    with sync.connect(lambdamesh_node.url) as mesh:
        assert mesh.call(shop.id, "order", {"item": "pear"}) == 2
    assert shop.calls == [("order", {"item": "pear"})]
