import sys

from lambdamesh import sync

with sync.connect() as mesh:
    print(mesh.call(sys.argv[1], "area", {"width": 3, "height": 4}))
    for number in mesh.stream(sys.argv[1], "count", 2):
        print(number)
