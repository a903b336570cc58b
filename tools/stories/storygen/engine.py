"""Template expansion and the story state.

Template syntax: ``[a|b|c]`` picks one branch (may be nested or empty), and
``{slot.attr}`` reads the story state.
"""

import re

from . import lexicon as lx

PRONOUNS = {
    "m": ("he", "him", "his", "himself"),
    "f": ("she", "her", "her", "herself"),
}


class Character:
    """A person or animal; the same name and pronouns all through a story."""

    def __init__(self, rng, kind, gender, name=None, adjective="", home=""):
        self.rng, self.kind, self.gender, self.name = rng, kind, gender, name
        self.adjective, self.home = adjective, home
        self.he, self.him, self.his, self.refl = PRONOUNS[gender]
        self.He, self.His = self.he.capitalize(), self.his.capitalize()

    def __str__(self):
        return self.name or f"the {self.kind}"

    @property
    def a(self):
        return f"a {self.adjective} {self.kind}".replace("  ", " ")

    @property
    def intro(self):
        verb = self.rng.choice(["named", "named", "called"])
        return f"{self.a} {verb} {self.name}"

    @property
    def the(self):
        return f"the {self.kind}"

    @property
    def The(self):
        return f"The {self.kind}"

    @property
    def young(self):
        return f"the little {self.kind}" if self.kind in ("girl", "boy") else f"the {self.kind}"


class Thing:
    """An object with one fixed adjective."""

    def __init__(self, rng, noun, flags, adjective, uses=("use it",)):
        self.rng, self.noun, self.flags = rng, noun, flags
        self.adjective, self.uses = adjective, list(uses)

    def __str__(self):
        return self.noun

    @property
    def full(self):
        return f"{self.adjective} {self.noun}"

    @property
    def a(self):
        return f"a {self.full}"

    @property
    def the(self):
        return f"the {self.full}" if self.rng.random() < 0.25 else f"the {self.noun}"

    @property
    def use(self):
        return self.rng.choice(self.uses)


class Place:
    """A place with its preposition, hiding spots and sights."""

    def __init__(self, rng, noun):
        prep, flags, spots, sights = lx.PLACES[noun]
        self.rng, self.noun, self.flags = rng, noun, flags.split()
        self.at, self.to, self.the = f"{prep} the {noun}", f"to the {noun}", f"the {noun}"
        spots = spots.split("|")
        rng.shuffle(spots)
        self.spot, self.spot2, self.spot3 = spots[:3]
        sights = sights.split("|")
        rng.shuffle(sights)
        self.sight, self.sight2 = sights[:2]

    def __str__(self):
        return self.noun


def pick_branch(rng, text):
    """Resolve every [a|b] group, innermost first."""
    pattern = re.compile(r"\[([^\[\]]*)\]")
    while True:
        match = pattern.search(text)
        if not match:
            return text
        choice = rng.choice(match.group(1).split("|"))
        text = text[:match.start()] + choice + text[match.end():]


VOWEL_A = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!(?:one|uni|use|euro)\w*)")
SPEECH_TAGS = "said|asked|cried|called|shouted|whispered|he|she|they|the|everyone|laughed|answered"


def tidy(text):
    """Articles, spaces, and capitals at sentence and quote starts."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.!?])", r"\1", text)
    text = VOWEL_A.sub(lambda m: m.group(1) + "n ", text)
    upper = lambda m: m.group(1) + m.group(2).upper()
    text = re.sub(r'^(")?([a-z])', lambda m: (m.group(1) or "") + m.group(2).upper(), text)
    text = re.sub(r'([.!?] "?)([a-z])', upper, text)
    text = re.sub(r'(\." )([a-z])', upper, text)
    return re.sub(r'((?:^|[\s]) ?")([a-z])', upper, text)


# Safe exchanges: old words, new words, chance for each occurrence.
EXCHANGES = [
    (r"\bbegan to\b", "started to", .4), (r"\bvery\b(?! much)", "really", .15), (r"\bAt last\b", "Finally", .35),
    (r"\bSoon,? (?=\w)", "Before long, ", .25), (r"\bshouted\b", "yelled", .2),
    (r"\bwent to the\b", "walked to the", .2), (r"\bFrom that day on\b", "From then on", .4),
    (r"\bThe next day\b", "The day after", .2), (r"\ba lot of fun\b", "so much fun", .4),
    (r"\bgood friends\b", "close friends", .25), (r"\ball day long\b", "the whole day", .3),
    (r"\bjumped for joy\b", "hopped with joy", .3), (r"\beverywhere\b", "all over the place", .15),
 (r"\blaughed and laughed\b", "could not stop laughing", .25),
    (r"\bwas sad\b", "was unhappy", .15), (r"\bwas happy\b", "was glad", .2),
    (r"\bfelt happy\b", "felt good", .2), (r"\bso happy\b", "so glad", .2), (r"\bso proud\b", "very proud", .3),
    (r"\ba little scared\b", "a bit scared", .4), (r"\bwhispered\b", "said softly", .25),
    (r"\bfor a long time\b", "for a long while", .25), (r"\bone more time\b", "once more", .4),
    (r"\bhome\.$", "back home.", .1), (r"\bhelped to\b", "helped", .4), (r"\btook good care of\b", "looked after", .3),
    (r"\bcould not wait\b", "could hardly wait", .4), (r"\bSuddenly, ", "All at once, ", .3),
    (r"\bin the end\b", "at the end", .2), (r"\bvery sad\b", "terribly sad", .15), (r"\bbig smile\b", "wide smile", .25),
]
SHORT_FORMS = [
    (r"\b([Dd]id|[Dd]o|[Dd]oes|[Cc]ould|[Ww]as|[Ii]s|[Hh]ad) not\b", r"\1n't"), (r"\b([Cc])annot\b", r"\1an't"),
    (r"\bI am (?=[a-z])", "I'm "), (r"\bI will (?=[a-z])", "I'll "), (r"\b([Ww])e will (?=[a-z])", r"\1e'll "),
    (r"\b([Ll])et us (?=[a-z])", r"\1et's "), (r"\bIt is (?=[a-z])", "It's "), (r"\bYou are (?=[a-z])", "You're "),
]


def vary(rng, text):
    """Swap some phrases for others that mean the same; some stories use short forms."""
    for old, new, chance in EXCHANGES:
        text = re.sub(old, lambda m: new if rng.random() < chance else m.group(0), text)
    if rng.random() < 0.3:
        for old, new in SHORT_FORMS:
            text = re.sub(old, new, text)
    return text


class Story:
    """Collects sentences; holds the cast and props in ``slots``."""

    def __init__(self, rng):
        self.rng, self.slots, self.paragraphs = rng, {}, [[]]
        self.trait = self.hobby = None

    # --- writing -----------------------------------------------------------
    def expand(self, template):
        text = pick_branch(self.rng, template)
        for _ in range(3):
            if "{" not in text:
                break
            text = text.format_map(self.slots)
        return text

    def say(self, *options):
        sentence = tidy(self.expand(self.rng.choice(options)))
        self.paragraphs[-1].append(self.use_pronoun(sentence))

    def use_pronoun(self, sentence):
        """Sometimes 'She' for the hero's name, where it can mean nobody else."""
        hero, before = self.slots["h"], self.paragraphs[-1][-1:]
        name = str(hero)
        if not before or not sentence.startswith(name + " ") or self.rng.random() < 0.3:
            return sentence
        alone = sum(isinstance(c, Character) and c.gender == hero.gender for c in self.slots.values()) == 1
        told_of = re.match(rf"({name}|{hero.He})\b", before[0]) and '"' not in before[0]
        spoke = re.search(rf'" (\w+ {name}|{name} \w+|{hero.he} \w+)\.$', before[0])
        if not told_of and not (spoke and alone):
            return sentence
        for other in self.slots.values():
            if isinstance(other, Character) and other is not hero and other.gender == hero.gender:
                if re.search(rf"\b({other}|{other.kind})\b", before[0] + sentence, re.I):
                    return sentence
        return hero.He + sentence[len(name):]

    def maybe(self, chance, *options):
        if self.rng.random() < chance:
            self.say(*options)

    def para(self):
        if self.paragraphs[-1]:
            self.paragraphs.append([])

    def text(self):
        """The story; no paragraph begins with a name.

        A name after a line break would be another token than the same name after
        a space, which a small model would have to learn twice.
        """
        names = tuple(c.name for c in self.slots.values() if isinstance(c, Character) and c.name)
        whole = ""
        for sentences in filter(None, self.paragraphs):
            paragraph = " ".join(sentences)
            gap = " " if paragraph.startswith(names) else "\n\n"
            whole += (gap if whole else "") + paragraph
        return vary(self.rng, whole)

    def words(self, **named):
        """Add plain word slots."""
        self.slots.update(named)

    def pick(self, options):
        if isinstance(options, str):
            options = options.split("|")
        return self.rng.choice(list(options))

    # --- casting -----------------------------------------------------------
    def other_gender(self):
        hero = self.slots["h"].gender
        same = self.rng.random() < 0.1
        return hero if same else ("f" if hero == "m" else "m")

    def child(self, slot="h", gender=None):
        gender = gender or self.rng.choice("mf")
        used = {str(v) for v in self.slots.values()}
        name = self.pick([n for n in (lx.GIRLS if gender == "f" else lx.BOYS) if n not in used])
        kind = "girl" if gender == "f" else "boy"
        adjective = self.pick(["little", "little", "young", "small"])
        person = Character(self.rng, kind, gender, name, adjective, self.pick(lx.CHILD_HOMES))
        self.slots[slot] = person
        return person

    def animal(self, slot="h", gender=None, only=None):
        gender = gender or self.rng.choice("mf")
        used = {str(v) for v in self.slots.values()}
        taken = {getattr(v, "kind", "") for v in self.slots.values()}
        pool = [a for a in lx.HERO_ANIMALS if a[0] not in taken and (not only or a[0] in only)]
        kind, adjectives, home = self.pick(pool)
        names = lx.PET_GIRLS if gender == "f" else lx.PET_BOYS
        name = self.pick([n for n in names if n not in used])
        self.slots[slot] = Character(self.rng, kind, gender, name, self.pick(adjectives.split()), home)
        return self.slots[slot]

    def hero(self, animal=0.35):
        return self.animal() if self.rng.random() < animal else self.child()

    def friend(self):
        """A friend of the hero's own sort (children with children)."""
        gender = self.other_gender()
        if self.slots["h"].kind in ("girl", "boy"):
            return self.child("f", gender)
        return self.animal("f", gender)

    def adult(self, words=("mom", "dad", "grandma", "grandpa")):
        word = self.pick(words)
        person = Character(self.rng, word, lx.ADULTS[word])
        person.name = f"{self.slots['h'].his} {word}"
        self.slots["g"] = person
        self.slots["G"] = word.capitalize()
        return person

    def helper(self, table, slot="x"):
        taken = {getattr(v, "kind", "") for v in self.slots.values()}
        kind, adjectives, deed = self.pick([e for e in table if e[0] not in taken])
        person = Character(self.rng, kind, self.other_gender(), None, self.pick(adjectives.split()))
        self.slots[slot] = person
        self.slots[slot + "deed"] = deed
        return person

    # --- props -------------------------------------------------------------
    def toy(self, *flags, slot="t", nouns=None):
        taken = {getattr(v, "noun", "") for v in self.slots.values()}
        pool = [n for n, v in lx.TOYS.items() if n not in taken
                and (not flags or set(flags) & set(v[0].split())) and (not nouns or n in nouns)]
        noun = self.pick(pool)
        toy_flags, extras, uses = lx.TOYS[noun]
        adjectives = extras.split() + self.rng.sample(lx.COLOURS, 3)
        thing = Thing(self.rng, noun, toy_flags.split(), self.pick(adjectives), uses.split("|"))
        self.slots[slot] = thing
        return thing

    def food(self, flag, slot="d"):
        noun = self.pick([n for n, v in lx.FOODS.items() if flag in v[0].split()])
        flags, adjectives = lx.FOODS[noun]
        self.slots[slot] = Thing(self.rng, noun, flags.split(), self.pick(adjectives.split()))
        return self.slots[slot]

    def place(self, *flags, slot="p", avoid=()):
        pool = [n for n, v in lx.PLACES.items() if set(flags) <= set(v[1].split()) and n not in avoid]
        self.slots[slot] = Place(self.rng, self.pick(pool))
        return self.slots[slot]

    # --- shared beats ------------------------------------------------------
    def open(self, trait=None, like=True):
        """Introduce the hero, a trait or a hobby."""
        hero = self.slots["h"]
        self.trait = trait or self.pick([t for t in lx.GOOD_TRAITS if t != hero.adjective])
        self.hobby = self.pick(lx.HOBBIES)
        self.words(trait=self.trait, hobby=self.hobby[0], hobbying=self.hobby[1],
                   home=hero.home, when=pick_branch(self.rng, lx.WHEN))
        self.say(
            "[once upon a time|once upon a time|once upon a time|long ago|once|a long time ago], there was {h.intro}.",
            "once upon a time, there was {h.intro} who lived {home}.",
            "once upon a time, {h.intro} lived {home}.",
            "{h} was {h.a} who lived {home}.",
            "there was once {h.intro}.",
            "{home}, there lived {h.intro}.",
            "{h.intro} lived {home}.",
            "not so long ago, {h.intro} lived {home}.",
            "this is the story of {h}, {h.a} who lived {home}.",
            "{h} was {h.a}.",
            "have you heard of {h}? {h.He} was {h.a} who lived {home}.",
            "once there [was|lived] {h.intro}.",
        )
        if trait:
            self.say("{h} was [very|so] {trait}.", "{h.He} was [very|] {trait}.",
                     "everyone [knew|said] that {h} was [very|] {trait}.")
        elif self.rng.random() < 0.5:
            self.say("{h} was [very|] {trait}.", "{h.He} was {trait} and loved to {hobby}.",
                     "{h} was a {trait} {h.kind}.")
        elif like:
            self.say("{h} [loved|liked] to {hobby}.", "{h.He} [loved|liked] to {hobby} [every day|all day long|with {h.his} friends|].",
                     "most of all, {h} loved to {hobby}.")

    def close(self, mood="good"):
        """A last sentence or two after the plot is over."""
        if mood == "good":
            self.maybe(0.45,
                       "{h} [smiled|laughed] [all the way home|all day long|and felt warm inside].",
                       "{h} was [happy|glad|so happy], and {h.he} [went back to|spent the rest of the day] {hobbying}.",
                       "that night, {h} fell asleep with a [big|happy|little] smile.",
                       "it was [a very good day|the best day of all|a day that {h} never forgot].")
        self.maybe(0.2, "the end.", "and that is the end of the story.", "and they all lived happily [ever after|together].")
