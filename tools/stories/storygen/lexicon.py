"""Typed vocabulary: who, where, what, and what can be done with it.

Every entry carries the facts that the plots rely on (a kite can fly, a squirrel
can climb, a beach has water), so that a story never asks a thing to do what it
cannot do.
"""

GIRLS = """Mia Lily Anna Rosie Ella Nora Ruby Clara Daisy Sara Emma Ivy Zoe Lucy Molly
Hana Tess Nina Bella Maya Amy Kate Wendy Lena Olive Poppy June Greta Isla Penny""".split()

BOYS = """Tom Ben Max Sam Leo Finn Jack Oscar Hugo Noah Milo Luke Adam Theo Owen Paul
Kai Toby Felix Eli Peter Ravi Otto Jonas Harry Simon Arlo Dan Nico Will""".split()

PET_GIRLS = """Dot Pip Clover Honey Pearl Willow Fern Hazel Misty Pippa Tulip Berry
Bluebell Cookie Minnie Sunny""".split()

PET_BOYS = """Rusty Bruno Hopper Ollie Chip Biscuit Barney Moss Pepper Rocky Buddy Fuzz
Bramble Puddle Nibbles Thumper""".split()

GOOD_TRAITS = """kind brave clever curious cheerful gentle careful helpful friendly polite
patient funny""".split()

# Animals that can be the hero: noun, adjectives, home.
HERO_ANIMALS = [
    ("rabbit", "little small fluffy white brown young", "in a cosy burrow under a hill"),
    ("fox", "little young red clever small", "in a den in the woods"),
    ("bear", "little young brown big fluffy", "in a warm cave near the woods"),
    ("mouse", "tiny little grey small young", "in a hole under an old barn"),
    ("squirrel", "little red small quick young", "in a hollow tree"),
    ("duck", "little yellow small young", "beside a quiet pond"),
    ("frog", "little green small young", "beside a quiet pond"),
    ("hedgehog", "little small round shy", "under a pile of leaves"),
    ("kitten", "little grey small fluffy black", "in a small house by the road"),
    ("puppy", "little brown small spotted fluffy", "in a house with a red door"),
    ("turtle", "little green small slow young", "beside a clear stream"),
    ("elephant", "little young grey gentle", "near a wide river"),
    ("monkey", "little young brown funny", "in a tall tree near the river"),
    ("owl", "little young brown small", "in an old oak tree"),
    ("lamb", "little white young fluffy", "on a green farm"),
    ("penguin", "little small young round", "on a cold white shore"),
    ("beaver", "little young brown busy", "in a house of sticks on the river"),
    ("pony", "little young brown spotted", "on a green farm"),
]

CHILD_HOMES = """in a small village|in a little house by the sea|in a tall house in the town
|in a house with a blue door|on a small farm|near a big forest|at the end of a long road
|in a cottage on a hill|near the river|in a white house with a big garden
|next to a bakery|beside a little lake|at the edge of the town|in a valley between two hills
|by an old mill|in a yellow house by the road|above a small shop|behind the church|on a quiet street""".replace("\n", "").split("|")

# base form, -ing form
HOBBIES = [
    ("sing songs", "singing songs"), ("draw pictures", "drawing pictures"),
    ("dance", "dancing"), ("tell jokes", "telling jokes"),
    ("look at the clouds", "looking at the clouds"),
    ("jump over puddles", "jumping over puddles"), ("climb hills", "climbing hills"),
    ("listen to stories", "listening to stories"), ("pick flowers", "picking flowers"),
    ("run in the grass", "running in the grass"), ("count the stars", "counting the stars"),
    ("play in the sun", "playing in the sun"), ("explore new places", "exploring new places"),
    ("help other people", "helping other people"), ("make new friends", "making new friends"),
    ("watch the birds", "watching the birds"), ("collect stones", "collecting stones"),
    ("play hide and seek", "playing hide and seek"), ("ask questions", "asking questions"),
    ("splash in the water", "splashing in the water"),
]

COLOURS = "red blue green yellow purple orange pink white brown silver".split()

# noun: (flags, extra adjectives, what one does with it)
TOYS = {
    "ball": ("roll throw round", "big small bouncy striped", "bounce it|kick it|throw it high"),
    "kite": ("fly", "big long striped pretty", "fly it in the wind|watch it dance in the sky"),
    "doll": ("soft", "pretty small old", "dress it|hold it|sing to it"),
    "teddy bear": ("soft", "soft fluffy old", "hug it|hold it at night|take it to bed"),
    "toy car": ("roll break", "fast small shiny", "push it along the floor|race it"),
    "toy boat": ("float break", "little wooden fast", "sail it|watch it float"),
    "drum": ("noise", "big loud little", "tap it|play it all day"),
    "whistle": ("noise small", "shiny little loud", "blow it|play a tune on it"),
    "hat": ("wear fly", "big funny warm soft", "wear it every day|show it to everyone"),
    "scarf": ("wear soft fly", "long warm soft", "wear it every day|wrap it around {h.refl}"),
    "puppet": ("soft", "funny little silly", "make it talk|make it dance"),
    "book": ("read", "big little old thick", "read it|look at the pictures in it"),
    "blanket": ("soft", "soft warm old", "sleep with it|hide under it"),
    "bucket": ("hold", "small shiny little", "fill it with sand|carry stones in it"),
    "toy robot": ("break", "shiny funny tall", "make it walk|talk to it"),
    "toy train": ("roll break", "long fast wooden", "push it along the floor|make it go fast"),
    "bell": ("noise small", "shiny little round", "ring it|listen to its sound"),
    "marble": ("roll round small", "shiny round pretty", "roll it|look through it"),
    "toy plane": ("fly break", "fast little wooden", "throw it into the air|make it fly"),
    "music box": ("noise break", "pretty little old", "listen to its song|open it"),
    "flute": ("noise break", "long little wooden", "play it|make music with it"),
    "umbrella": ("fly", "big pretty striped", "open it in the rain|spin it around"),
    "spinning top": ("roll", "little round wooden", "spin it|watch it go around"),
    "shell": ("small break", "shiny pretty smooth", "listen to it|hold it to the light"),
    "feather": ("small fly", "long soft pretty", "wave it|blow it into the air"),
    "lantern": ("break", "little bright old", "light it at night|carry it around"),
}

FOODS = {  # flags: fruit (grows), baked, hand (one can hold and halve it)
    "apple": ("fruit hand", "big juicy sweet shiny"), "pear": ("fruit hand", "ripe sweet juicy"),
    "banana": ("hand", "ripe sweet long"), "cookie": ("baked hand", "big sweet warm"),
    "muffin": ("baked hand", "warm big sweet"), "sandwich": ("hand", "big tasty fresh"),
    "cake": ("baked party", "big sweet tall"), "pie": ("baked party", "warm sweet big"),
    "bun": ("baked hand", "warm soft sweet"), "carrot": ("grow hand", "big long sweet"),
    "pumpkin": ("grow", "big round heavy"), "pancake": ("hand", "warm round thick"),
    "peach": ("fruit hand", "soft ripe sweet"), "plum": ("fruit hand", "ripe sweet juicy"),
    "loaf of bread": ("baked", "warm fresh big"), "honey cake": ("baked hand party", "sweet warm little"),
}

# noun: (preposition, flags, hiding spots, things one can see there)
PLACES = {
    "park": ("in", "tree water out", "under a bench|behind a big tree|in the tall grass|near the swings|beside the pond",
             "ducks on the pond|children on the swings|a man with a funny hat"),
    "garden": ("in", "tree out", "under a bush|behind the watering can|between the flowers|next to the fence",
               "bees in the flowers|a row of carrots|a snail on a leaf"),
    "forest": ("in", "tree out wild", "under a fern|behind a mossy rock|inside a hollow log|between two roots",
               "tall green trees|mushrooms under the trees|a deer far away"),
    "woods": ("in", "tree out wild", "under a pile of leaves|behind a fallen tree|next to a stump|under a bush",
              "old trees with thick roots|little paths|birds in the branches"),
    "beach": ("at", "water out", "behind a rock|next to an old boat|under the sand|beside a pool of water",
              "white birds over the sea|crabs in the sand|boats on the water"),
    "meadow": ("in", "out wild tree", "in the tall grass|behind a big stone|under a yellow flower|near the stream",
               "butterflies everywhere|flowers of every colour|a sleepy cow"),
    "farm": ("on", "out tree", "behind the barn|under a cart|in the hay|next to the gate",
             "hens in the yard|a big brown horse|sheep on the hill"),
    "playground": ("at", "out tree", "under the slide|behind the swings|next to the sandbox|near the fence",
                   "children on the slide|a big sandbox|two girls with a rope"),
    "orchard": ("in", "out tree", "behind a ladder|under an apple tree|inside a basket|in the long grass",
                "apples on the trees|baskets full of fruit|a bird with a red chest"),
    "lake": ("at", "out water tree", "behind a rock|under a little boat|between the reeds|next to a log",
             "fish in the water|a long wooden bridge|swans on the lake"),
    "river": ("at", "out water tree wild", "behind a rock|between the reeds|under the bridge|beside a log",
              "small fish in the water|a frog on a stone|leaves on the water"),
    "hill": ("on", "out tree wild", "behind a big stone|in the tall grass|under a bush|near an old wall",
             "the whole village|goats on the rocks|clouds like white sheep"),
}

ROOM_SPOTS = ("under the bed|behind the door|in a drawer|under a pillow|behind the curtain|inside a shoe"
              "|in the laundry basket|on top of the shelf|behind the sofa|under the table").split("|")

ADULTS = {  # word: gender
    "mom": "f", "dad": "m", "grandma": "f", "grandpa": "m", "aunt": "f", "uncle": "m",
}

# Helpers by what they can do: noun, adjectives, how they do it (past tense).
UP_HELPERS = [
    ("squirrel", "quick red little", "ran up the trunk"), ("cat", "grey clever black", "climbed up the tree"),
    ("crow", "black clever old", "flew up to the top"), ("robin", "small friendly little", "flew up into the tree"),
    ("owl", "wise old brown", "flew up on quiet wings"), ("monkey", "funny quick little", "swung up from branch to branch"),
    ("giraffe", "tall gentle friendly", "stretched {x.his} long neck"),
    ("elephant", "big kind gentle", "reached up with {x.his} long trunk"),
]
SWIM_HELPERS = [
    ("duck", "white friendly little", "swam across the water"), ("otter", "quick brown playful", "dived into the water"),
    ("frog", "green jolly little", "jumped in with a splash"), ("beaver", "busy brown strong", "paddled out with {x.his} flat tail"),
    ("turtle", "old green slow", "swam out with slow strokes"), ("swan", "white proud gentle", "glided over the water"),
    ("dog", "big brown friendly", "jumped in and swam fast"),
]
FIND_HELPERS = [
    ("dog", "brown friendly clever", "sniffed the ground"), ("fox", "red clever quick", "sniffed the wind"),
    ("owl", "wise old brown", "looked around with {x.his} big eyes"), ("mouse", "tiny grey quick", "looked into every little hole"),
    ("rabbit", "white soft little", "hopped around and looked low"), ("bird", "blue small little", "flew in a wide circle"),
    ("hedgehog", "round little shy", "looked under every leaf"), ("goat", "white old funny", "looked behind every bush"),
    ("pony", "kind brown spotted", "looked over the high fence"), ("hen", "fat busy brown", "scratched in the grass"),
]
SMALL_ANIMALS = [  # animals that can be hungry, hurt, or lost: noun, adjectives, young form's mother
    ("bird", "little tiny blue", "wing"), ("kitten", "little grey thin", "paw"),
    ("puppy", "little brown wet", "paw"), ("rabbit", "small white soft", "foot"),
    ("mouse", "tiny grey shy", "tail"), ("duckling", "little yellow wet", "foot"),
    ("hedgehog", "small round shy", "foot"), ("squirrel", "small red shy", "paw"),
    ("lamb", "little white cold", "leg"), ("fox cub", "small red thin", "paw"),
]
STRONG_THINGS = ["pumpkin", "turnip", "log", "cart", "stone", "beet"]

FLOWERS = "rose tulip daisy sunflower lily bluebell poppy violet".split()
TREES = "oak apple pine willow cherry maple birch pear".split()

HAPPY = "happy glad cheerful proud".split()
SAD = "sad upset unhappy".split()
SCARED = "scared afraid frightened worried".split()

# A template: when the story begins. Extra clauses make the openings differ.
WHEN = ("[one day|one day|one morning|one afternoon|early one morning|late one afternoon"
        "|one [sunny|warm|bright|windy|quiet|cool|fresh|clear|fine|golden|lazy] [morning|afternoon|day]"
        "|on a [sunny|warm|bright|cool|lovely|mild] [morning|afternoon|day] in [spring|summer|autumn|May|June|April]"
        "|one [sunny|warm|bright|fine] day after [breakfast|lunch]"
        "|on the first day of [spring|summer|autumn|the week]"
        "|one morning, [when the grass was still wet|before anyone else was awake|while the birds sang|as the sun came up]"
        "|one afternoon, [when the work was done|while the bees hummed|after a little nap|when the sky was blue]]")
