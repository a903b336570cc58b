"""Plots about weather, water, contests, teamwork, wishes and warnings."""

from . import lexicon as lx


def water_rescue(s):
    """A toy drifts off on the water; a swimmer brings it back."""
    s.child(); s.toy("float", "roll", "throw", "soft"); s.place("water"); s.helper(lx.SWIM_HELPERS); s.adult(("mom", "dad"))
    s.open()
    s.say("{h} had {t.a}. {h.He} loved to {t.use}.", "{h.His} favourite toy was {t.a}.")
    s.para()
    s.say("{when}, {h} and {g} went {p.to}. {h} took the {t} [along|with {h.him}].", "{when}, {h} played {p.at} with the {t}.")
    s.say('"[do not go near the water|stay on dry land]," said {g}.', '"do not [play|go] too close to the water," {g} said.')
    s.say("but the {t} [fell into the water|rolled into the water|slipped from {h.his} hands] and [floated away|drifted far out].", "[plop|splash]! The {t} [fell|landed] in the water. It [drifted away|went farther and farther].")
    s.say('"[my {t}|come back, {t}]!" {h} [shouted|cried]. {h.He} wanted to jump in, but {h.he} could not swim.', "{h} [stretched out {h.his} arm|took a long branch], but the {t} was too far [away|out].")
    s.para()
    s.say('{x.a} [looked up|was near]. "[Wait|Stay there|Do not go in], I will [get it|help you]," {x.he} said.', "{h} saw {x.a}. \"Please, can you [get|bring back] my {t}?\" {h.he} asked.")
    s.say("{x.The} {xdeed}. {x.He} [pushed|pulled] the {t} [back|to the shore|all the way back].", "{x.The} {xdeed} and [brought back the {t}|took the {t} to the shore].")
    s.say('"[thank you, {x.kind}|you saved my {t}|you are a hero]!" said {h}.', "{h} [picked up the wet {t}|held the wet {t} tight] and [smiled|laughed|said thank you].")
    s.say("{g} [was proud that {h} did not jump in|dried the {t} in the sun|gave {x.the} some bread].", "the {t} [dried in the sun|was wet, but it was not broken]." )
    s.say("after that, {h} [played far from the water|always held the {t} tight near the water].", "{h} and {x.the} [met|played] there every summer.")
    s.close()


def race(s):
    """A fast boaster loses, or stops to help the slow one."""
    s.animal(only=("turtle", "hedgehog", "duck", "frog", "mouse", "lamb")); hero = s.slots["h"]
    s.animal("f", only=("rabbit", "fox", "pony", "squirrel", "puppy", "monkey"), gender="f" if hero.gender == "m" else "m")
    s.place("out", "tree", avoid=("playground", "park")); s.words(goal=s.pick("the old bridge|the big oak tree|the red barn|the top of the hill|the white gate|the windmill"))
    s.open(trait=s.pick(["slow", "patient", "slow", "careful"]))
    s.say("{f.intro} lived near {h}. {f.He} was very fast and [knew it|said so every day].", "near {h} lived {f.intro}, who was the fastest of all.")
    s.para()
    s.say('"[I am the fastest|nobody can beat me|you are so slow]," {f} [always said|said to {h} one day]. "[I could win with one leg|You will never win a race|I can run and sleep at the same time]!"')
    s.say('"let us race to {goal}," said {h}. Everyone laughed.', '"[I am not afraid|We will see]," said {h}. "Let us race to {goal}."')
    s.say("{when}, all the animals came {p.to}. \"One, two, three, go!\" called [an owl|an old goat|a crow].")
    s.say("{f} [ran off like the wind|was gone in a moment]. {h} went [step by step|slowly but steadily|as well as {h.he} could].")
    s.para()
    if s.rng.random() < .6:
        s.say("[halfway|after a while], {f} looked back. {h} was far behind. \"[I have time|I can rest],\" {f.he} said, and {f.he} [lay down|fell asleep] {p.spot}.")
        s.say("{h} [did not stop|did not rest]. {h.He} [walked past {f}|went on and on|passed {f} without a sound].")
        s.say("when {f} woke up, {h} was [almost there|at {goal}]. {f} ran and ran, but it was too late. {h} had won!")
        s.say('"[slow and steady|I never stopped]," said {h} with a smile. {f} [was ashamed|learned not to boast|never laughed at {h} again].'.replace("[slow and steady|I never stopped]", "I did not stop"))
    else:
        s.say("but {f} ran so fast that {f.he} did not see a hole. {f.He} fell in and hurt {f.his} foot. \"Help!\" {f.he} cried.")
        s.say("{h} [could win now|was not far from {goal}]. But {h.he} stopped. \"[Hold on to me|I will help you],\" {h.he} said.")
        s.say("{h} helped {f} out of the hole, and they walked to {goal} [together|side by side].")
        s.say('"why did you [help me|stop]?" asked {f}. "[A friend is better than a prize|Winning is not everything]," said {h}.')
        s.say("{f} never [laughed at|was mean to] {h} again. They became [good|best] friends.")
    s.close()


def rainy_day(s):
    """Rain spoils a plan; a better one is found."""
    s.hero(.25); s.friend(); s.adult(("mom", "dad", "grandma", "grandpa")); s.place("out")
    game = s.pick([("a tent out of blankets", "told stories in it with a small lamp"), ("a ship out of chairs", "sailed over the carpet to far lands"), ("a train out of boxes", "went to the moon and back"),
                   ("paper boats", "let them sail in the big puddle"), ("a puppet show with old socks", "laughed at the silly voices"), ("a castle out of pillows", "were king and queen until dinner"),
                   ("soup out of carrots and beans", "ate it by the window"), ("masks out of paper", "roared like lions")])
    s.words(made=game[0], then=game[1])
    s.open()
    s.para()
    s.say("{when}, {h} wanted to go {p.to} with {h.his} friend {f}.", "{h} and {h.his} friend {f} had a plan. They wanted to go {p.to}.")
    s.say("but then [dark clouds came|the sky turned grey], and it began to rain. [Drip, drop|Splash, splash|Plip, plop]!", "but it [rained and rained|was raining hard]. Big drops ran down the window.")
    s.say('"[this is so boring|I hate rain|now our day is ruined]," said {h}. {f} [looked sad too|pressed {f.his} nose to the glass].', '"[go away, rain|stop it, rain]!" {h} shouted, but the rain did not stop.')
    s.para()
    s.say('{g} smiled. "[Rain can be fun|There is a lot to do in the house|You only need an idea]," {g.he} said.', "then {f} had an idea. {f.He} whispered something to {h}, and {h} began to smile.")
    s.say("so they made {made}.", "[soon|together], {h} and {f} made {made}. {g} [helped|gave them what they needed|laughed].")
    s.say("they {then}.", "then they {then}.", "all afternoon, they {then}.")
    s.maybe(.5, "they did not [hear|think of] the rain anymore.", "{g} brought [warm milk|hot cocoa|sweet buns], and it was very cosy.")
    s.para()
    s.say('"look, the sun!" said {f}. There was a rainbow over the roof, [but they wanted to play on|and they ran out to jump in the puddles].', "when the rain stopped, [they did not even see it|there was a big rainbow in the sky].")
    s.say('"[I like rainy days|I hope it rains tomorrow|that was the best day]," said {h}, and everyone laughed.', "{h} learned that [a rainy day can be a good day|you can have fun in any weather].")
    s.close()


def snow_day(s):
    """A snowman gets what it needs."""
    s.child(); s.friend(); s.adult(("mom", "dad", "grandma")); s.toy(nouns=("hat", "scarf"))
    s.words(nose=s.pick("a carrot|a small red apple|a pine cone|a potato"), eyes=s.pick("two black stones|two big buttons|two nuts"), sn=s.pick("Mr. Frost|Mr. White|Snowy|Big Jim|Old Puff"))
    s.open()
    s.para()
    s.say("one winter morning, everything was white. \"[Snow|It snowed]!\" {h} [shouted|called] and [put on {h.his} boots|ran out].", "it snowed all night. In the morning, {h} [looked out of the window|ran to the window] and [laughed|cheered].")
    s.say("{h} and {f}, {h.his} [friend|neighbour], rolled a big ball of snow, then a [smaller|second] one, and then a [little|third] one.", "{f} came over, and the two made a snowman.")
    s.say("they gave it {eyes} for eyes and {nose} for a nose.", "{h} found {eyes} for the eyes, and {f} brought {nose} for the nose.")
    s.say('"[he looks cold|something is missing|he needs something more]," said {f}.', "but the snowman looked [a bit sad|cold|not quite right].")
    s.say("{h} took off {h.his} {t.full} and gave it to the snowman. \"[Now he is warm|Now he is perfect|That is better],\" {h.he} said.", "so {h} ran inside and got {t.a}. {h.He} put it on the snowman.")
    s.say('"we will call [him|our snowman] {sn}," said {f}.')
    s.para()
    k = s.rng.random()
    if k < .5:
        s.say("that night, {h} [looked out of the window|woke up]. In the moonlight, the snowman [waved at {h.him}|danced|winked]. [Was it a dream|Did {h} dream it]?")
        s.say("in the morning, there was [a small snow heart|a tiny snow bird|a row of round footprints] at the door. {h} [smiled|knew who it was from].")
    else:
        s.say("[some days later|a week later], the sun was warm. {sn} became [smaller and smaller|thin and small]. \"[Do not go|Please stay],\" said {h}.")
        s.say('"[he will come back next winter|snow turns to water, and water turns to snow again]," said {g}. {h} [waved goodbye|picked up the wet {t}|was not so sad anymore].')
    s.say("{h} and {f} [went in and drank hot cocoa|made snow angels until dark|threw snowballs and laughed].")
    s.close()


def big_pull(s):
    """One heavy thing, many pullers, and the smallest one makes it move."""
    s.hero(.5); s.place("out", avoid=("beach",)); thing = s.pick(lx.STRONG_THINGS)
    names = ["dog", "cat", "goat", "hen", "pig", "cow", "donkey", "duck", "sheep"]
    a, b, c = s.rng.sample([n for n in names if n != s.slots["h"].kind and n not in s.slots["h"].kind], 3)
    s.words(t=thing, a=a, b=b, c=c, tiny=s.pick([n for n in ("mouse", "beetle", "sparrow", "ladybug", "frog") if n != s.slots["h"].kind]),
            adj=s.pick("huge heavy giant enormous".split()), do="lift" if thing in ("log", "stone") else "pull")
    s.words(state={"pumpkin": "did not come off the stem", "turnip": "sat deep in the ground", "beet": "sat deep in the ground", "log": "lay across the path", "cart": "was stuck in the mud", "stone": "lay in the middle of the path"}[thing])
    s.open()
    s.para()
    s.say("{when}, {h} [found|saw] a {adj} {t} {p.at}. It {state}.")
    s.say("{h} [pulled|pushed] with all {h.his} strength, but the {t} did not move.", '"[I must move it|this has to move]," said {h}. {h.He} pulled and pulled, but [it was too heavy|nothing happened].')
    s.say('{h} called the {a}. "[Please help me|Can you help me]?" They pulled together, but the {t} [did not move|stayed where it was].'.replace("[Please help me|Can you help me]?", "Please help me!"), "the {a} came to help. They pulled and pulled. The {t} stayed where it was.")
    s.say("then the {b} came, and they all pulled. [Nothing|It still did not move].", 'the {a} called the {b}. "[One, two, three|Now all together]!" But the {t} [did not move|only shook a little].')
    s.say("the {c} came too. They pulled [again|harder]. The {t} [moved a tiny bit|still did not move].", "then the {c} held on to the {b}, the {b} held on to the {a}, and the {a} held on to {h}. But it was no use.")
    s.para()
    s.say('"[I can help too|let me help|may I help]," [said|squeaked] a small voice. It was a tiny {tiny}.'.replace("|may I help]", "]"), "then a tiny {tiny} came by. \"I want to help,\" it said.")
    s.say("everyone laughed. \"You are too [small|little]!\" said the {a}. But {h} said, \"[Let it try|Everyone can help].\"", '"you?" laughed the {c}. "[Let us see|Come and try]," said {h}. "We need [everybody|everyone]."')
    s.say("they all pulled one more time, with the tiny {tiny} at the end. One, two, three, and [plop|hop|bump]! The {t} [moved|came loose]!", "the {tiny} [took hold|held on], and they pulled. [Pop|Plop|Whoosh]! The {t} [came loose|moved], and they all fell [over|down on the grass].")
    s.say('"hooray!" they [cried|shouted]. "[It was the little {tiny}|The smallest one did it|We did it together]!"')
    s.say("that evening, they [had soup|ate together|sang and danced], and the {tiny} got [the best seat|the first piece|a big thank you].", "nobody ever laughed at the {tiny} again.", "{h} learned that [even a little help is a big help|when all work together, heavy things get light].")
    s.close()


def wish(s):
    """A wish comes true too well and is taken back."""
    s.hero(.3); s.adult(("mom", "dad", "grandma"))
    giver = s.pick(["a tiny fairy", "a golden fish", "an old star", "a talking stone", "a little wizard", "a silver bird"])
    want, result, regret = s.pick([
        ("all the cake in the world", "there was cake everywhere, on the bed, on the roof, and in the street", "ate and ate until {h.his} tummy hurt"),
        ("to be as tall as a tree", "{h.he} grew and grew until {h.his} head was over the roof", "could not go into the house, and nobody could hear {h.him}"),
        ("that it would never be night", "the sun stayed in the sky and did not go down", "was so tired but could not sleep"),
        ("to be very small", "{h.he} became as small as a bean", "had to run from a big beetle"),
        ("that it would rain candy", "candy fell from the sky, bump, bump, bump", "had to hide, because the candy hurt {h.his} head"),
        ("to fly", "{h.he} went up into the air like a balloon", "could not come down again"),
        ("that everything would be blue", "the grass, the milk, and even {g} were blue", "could not find anything, because it all looked the same"),
        ("that nobody would tell {h.him} what to do", "all the people were gone and the house was empty", "felt so alone that {h.he} began to cry")])
    s.words(giver=giver, G1=giver.split(" ", 1)[1], wish=want, result=result, regret=regret, at=s.pick("by the well|under an old tree|near the pond|on the way home|in the garden|by the gate"))
    s.open(trait=s.pick([None, "greedy", "curious", "impatient"]))
    s.para()
    s.say("{when}, {h} met {giver} {at}. \"[You can have one wish|I will give you one wish|Make a wish],\" said the {G1}.", "{when}, {h} helped {giver} {at}. \"Thank you. [Now you may make one wish|You get a wish],\" said the {G1}.")
    s.say("{h} [did not think long|knew it at once]. {h.He} wished {wish}.".replace("wished {wish}", "wished " + ("for {wish}" if want.startswith("all") else "{wish}")))
    s.say("[poof|puff|zing]! {result}.", "there was a [flash|puff of smoke|soft sound], and {result}.")
    s.say('"[this is wonderful|hooray|this is the best wish]!" [said|laughed|shouted] {h}.', "[at first|in the beginning], {h} was [very happy|full of joy].")
    s.para()
    s.say("but [soon|after a while|then], {h} {regret}.")
    s.say('"[I do not like this|this was a silly wish|I want it to be like before]," {h.he} said.', "{h} [missed {g}|wanted it to be like before].")
    s.say("{h.He} [went back to|called] the {G1}. \"Please take my wish [back|away],\" {h.he} [said|begged].")
    s.say('"[did you learn something|are you sure]?" asked the {G1}. "[Yes|Oh yes]," said {h}. [Poof|Puff]! Everything was [as before|normal again].', "the {G1} [smiled|laughed] and [waved|blinked]. [Poof|Puff]! Everything was as before.")
    s.para()
    s.say("{h} ran home and [hugged {g}|told {g} everything]. [Home was the best place of all|It was good to be home].", "{h} learned to [be careful with wishes|be happy with what {h.he} had].", "from then on, {h} was happy with [what {h.he} had|little things].")
    s.close()


def warning(s):
    """A warning is not heeded; a small harm teaches."""
    s.child(); s.adult(("mom", "dad", "grandma", "grandpa"))
    warn, act, harm, cure = s.pick([
        ("do not touch the stove, it is hot", "put one finger on the stove", "ouch! The finger was red and hurt a lot", "held the finger under cold water"),
        ("do not walk on the ice, it is thin", "took three steps on the ice", "crack! One foot went through into the cold water", "pulled {h.him} back and gave {h.him} dry socks"),
        ("do not eat the green apples", "ate four green apples", "soon {h.his} tummy hurt so much that {h.he} had to lie down", "made some warm tea"),
        ("do not run on the wet floor", "ran over the wet floor", "bump! {h.He} slipped and fell on {h.his} back", "put a cold cloth on the bump"),
        ("do not tease the goose", "pulled the goose by its tail", "the goose hissed and bit {h.him} in the leg", "chased the goose away"),
        ("put on your coat, it is cold", "went out without a coat", "in the evening {h.he} had a cold and had to stay in bed", "brought hot soup"),
        ("do not shake the bees' tree", "shook the tree with all {h.his} strength", "buzz! The bees came out, and one of them stung {h.his} nose", "put honey on the nose"),
        ("do not jump on the bed", "jumped on the bed, higher and higher", "crash! {h.He} fell off and bumped {h.his} head", "held {h.him} close"),
        ("do not climb on the old wall", "climbed to the top of the old wall", "a stone came loose, and {h.he} fell into the mud", "washed {h.his} knees"),
        ("do not open the cage", "opened the cage just a little", "the bird flew out and sat on the highest roof", "put seeds in the cage until the bird came back")])
    s.words(warn=warn, act=act, harm=harm, cure=cure)
    s.open(trait=s.pick(["curious", "curious", "stubborn", "lively"]))
    s.para()
    s.say('"{warn}," {g} [said|told {h.him}|always said].', '{when}, {g} said, "{warn}." {h} [nodded|only half listened].')
    s.say("but {h} [did not listen|thought, \"Why not?\"|wanted to see what would happen].", '"[it cannot be so bad|just once|nobody will see it]," thought {h}.')
    s.say("when {g} was [not looking|in the other room|out of sight], {h} {act}.", "{h} [waited until {g} was gone|looked around] and {act}.")
    s.say("{harm}.")
    s.para()
    s.say('"[help|it hurts]!" [cried|called] {h}. {g} came [quickly|at once] and {cure}.' if not warn.endswith("cage") else '"[oh no|help]!" [cried|called] {h}. {g} came at once and {cure}.',
          "{h} began to cry. {g} [came running|heard it] and {cure}.")
    s.say('"[I should have listened|I am sorry|you were right]," said {h}. "[I wanted to see it myself|I will listen next time]."')
    s.say('{g} [stroked {h.his} hair|hugged {h.him}]. "[I say these things because I love you|Now you know why I said it|I only want to keep you safe]," {g.he} said.')
    s.say("from then on, {h} listened [to {g}|when {g} told {h.him} something|better].", "{h} never did it again.", "{h} learned that [a warning is there for a reason|it is good to listen].")
    s.close()


def greedy(s):
    """Too much of a good thing, or none left for the others."""
    s.hero(.6); s.friend(); s.place("out"); s.food("hand"); noun = s.slots["d"].noun
    s.words(ds={"sandwich": "sandwiches", "peach": "peaches"}.get(noun, noun[:-1] + "ies" if noun.endswith("y") else noun + "s"), n=s.pick("six seven eight nine ten".split()))
    s.open(trait=s.pick(["greedy", "hungry", "greedy"]))
    s.para()
    s.say("{when}, {h} found a [basket|bag|box] of {ds} {p.at}. There were {n} of them.", "{when}, {h.his} grandma gave {h} {n} {ds}. \"Share them with {f},\" she said.")
    s.say('{f.intro} [came by|saw it]. "[May I have one|Can I have one {d}], please?" {f.he} asked.', 'then {f}, {h.his} friend, came. "[I love {ds}|Those look so good]," {f.he} said. "Can I have one?"')
    s.say('"no, they are all mine!" said {h}, and {h.he} [ran away|hid {p.spot}|turned away].')
    s.say("{h} ate one {d}, and [then another|two more], until they were all gone.", "{h} ate and ate. {h.He} did not stop until the last {d} was gone.")
    s.para()
    s.say("[but then|soon], {h.his} tummy began to hurt. \"[Ow, ow|Oh, my tummy]!\" {h.he} [cried|said].", "{h.His} tummy became [round|as round as a ball], and it hurt a lot.")
    s.say("{f} heard {h.him} and came back. {f.He} was not angry. {f.He} [brought some warm tea|sat with {h.him}|rubbed {h.his} back].", 'then {h} felt [sick|very bad]. Only {f} came to help. "[Lie down|Drink this]," {f.he} said.')
    s.say('"I was [greedy|mean to you]," said {h}. "[Why are you so nice|I am sorry]."'.replace("Why are you so nice", "Please forgive me"), '"I am sorry that I did not share," said {h}.')
    s.say('"[it is all right|I forgive you]," said {f}. "[Friends help each other|Next time we share]."')
    s.para()
    s.say("[the next day|a week later|when {h} was well again], {h} got [new|more] {ds}. {h.He} gave {f} [the first one|half of them|the biggest one].")
    s.say("they [ate together|sat side by side and ate], and it tasted [much better|wonderful].", "{h} learned that [things taste better when you share|too much is not good].")
    s.close()


def bedtime(s):
    """Cannot sleep; a gentle list of tries; sleep comes."""
    s.hero(.5); s.adult(("mom", "dad", "grandma", "grandpa")); s.toy("soft")
    tries = ["counted ten sheep", "drank a cup of warm milk", "turned the pillow over", "listened to the wind", "hummed a slow song", "looked at the moon", "thought of the sea", "hugged the {t}"]
    a, b, c = s.rng.sample(tries, 3)
    s.words(a=a, b=b, c=c, tale=s.pick("a sleepy bear|a star that could not sleep|a boat that sailed to the moon|a cloud that lost its way|the mother of the wind|a mouse that lived in a shoe"))
    s.open()
    s.para()
    s.say("one [night|evening], {h} could not sleep. {h.He} [turned left and right|lay awake with open eyes].", "it was late. The moon [was out|shone], but {h} was not [tired|sleepy] at all.")
    s.say("{h.He} {a}, but {h.he} was still awake.", "first, {h.he} {a}. It did not help.")
    s.say("then {h.he} {b}. [Still awake|No sleep came|That did not help either].", "{h.He} {b}, but [nothing worked|sleep did not come].")
    s.say('"{g.kind}, I cannot sleep," {h} [called|said].', '{h} [went|tiptoed] to {g}. "[I am wide awake|Sleep does not come]," {h.he} said.')
    s.para()
    s.say('"[come, I will tell you a story|let us try something|close your eyes and listen]," said {g}. {g.He} [sat down on the bed|took {h.him} in {g.his} arms|tucked {h.him} in].')
    s.say("{g.He} told a story about {tale}.", "in a soft voice, {g} told {h.him} about {tale}.")
    s.say("{h} {c} and listened. {h.His} eyes became [heavy|small].", "{h} put the {t.full} under {h.his} arm. [The room was warm|It was so cosy].")
    s.say('"and then?" {h} [mumbled|whispered]. {g} told {h.him} more, [slowly|softly], and {h} [yawned|smiled].')
    s.say("[before the story was over|at the end of the story|soon], {h} was fast asleep.", "and {h} did not hear the end, because {h.he} was asleep.")
    s.say("{g} [kissed {h.him}|turned off the light] and [said, \"Good night!\"|closed the door softly.]", '"sleep well, [my little one|dear {h}]," {g} whispered.')
    s.maybe(.25, "outside, the stars [shone|watched over the house].", "the end.")


def tiny_hero(s):
    """A small animal repays a big one."""
    s.animal(only=("mouse", "frog", "squirrel", "hedgehog", "duck")); hero = s.slots["h"]
    big, trap = s.pick([("lion", "in a net of thick ropes"), ("bear", "in a deep hole"), ("elephant", "with a thorn in the foot"), ("wolf", "under a fallen branch"), ("horse", "with a foot in the fence"), ("moose", "in a rope")])
    s.words(big=big, trap=trap)
    how = {"in a net of thick ropes": "bit through the ropes, one by one", "in a deep hole": "rolled a long log into the hole, so that the {big} could climb out", "with a thorn in the foot": "pulled the thorn out with {h.his} teeth" if hero.kind != "duck" else "pulled the thorn out with {h.his} beak",
           "under a fallen branch": "dug the earth away until the {big} could crawl out", "with a foot in the fence": "moved the wood bit by bit until the foot was free", "in a rope": "pulled at the knot until it was loose"}[trap]
    s.words(how=how, he="he" if hero.gender == "f" else "she", him="him" if hero.gender == "f" else "her"); s.place("out", "wild", avoid=("river",) if big != "bear" else ())
    s.open(trait=s.pick(["brave", "small", "clever", "kind"]))
    s.para()
    s.say("{when}, {h} [ran|walked] over something soft. It was the [nose|tail|paw] of a big {big}! The {big} woke up.".replace("paw", "back"), "{when}, {h} met a big {big} {p.at}. The {big} was [angry|hungry|in a bad mood].")
    s.say('"[who wakes me|how dare you|go away, or I will step on you]," [said|growled] the {big}.'.replace("who wakes me|how dare you|", "you are in my way|"))
    s.say('"please [let me go|do not hurt me]," said {h}. "[One day, I may help you|Maybe I can help you one day]."')
    s.say('the {big} laughed. "[You? Help me|How could you help me]? You are so tiny!" But {he} let {h} go.')
    s.para()
    s.say("[some days later|not long after|a week later], {h} heard a loud cry. [{h.He} ran to see|{h.He} followed the sound]. It was the {big}, {trap}.")
    s.say('"[I am caught|nobody can help me|this is the end]," [cried|said] the {big}.'.replace("I am caught|", "it hurts so much|"), "the {big} [pulled and shook|roared and cried], but it was no use.")
    s.say('"[hold still|wait|do not move], I will help you," said {h}. {h.He} {how}.', "{h} did not [wait|run away]. {h.He} {how}.")
    s.say("it took [a long time|all night|an hour], but then the {big} [was free|could walk again].", "[at last|soon], the {big} was free.")
    s.para()
    s.say('"you [saved me|helped me], little friend," said the {big}. "[I will never laugh at you again|I was wrong|Small ones can do big things]."')
    s.say("from that day on, the {big} and {h} were [friends|best friends].", "{h} [rode home on the back of the {big}|smiled and went home].", "even a small friend can be a great friend.")
    s.close()


PLOTS = [water_rescue, race, rainy_day, snow_day, big_pull, wish, warning, greedy, bedtime, tiny_hero]
