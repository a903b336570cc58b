"""Plots about sharing, honesty, quarrels, fear and kindness."""

from . import lexicon as lx


def share_food(s):
    """The hero shares a snack with a hungry animal and is thanked later."""
    s.hero(.3); s.food("hand"); s.place("out")
    kind, adjectives, _ = s.pick([a for a in lx.SMALL_ANIMALS if a[0] != s.slots["h"].kind])
    s.words(n=kind, nadj=s.pick(adjectives.split()))
    s.open()
    s.para()
    s.say("{when}, {h} [sat {p.at} with|went {p.to} with|had] {d.a} for lunch.",
          "{when}, {h} got {d.a} from {h.his} [mom|grandma|dad]. {h.He} took it {p.to}.")
    s.say("{h.He} was [just about|ready] to [eat it|take a bite] when {h.he} saw a {nadj} {n}.",
          "then a {nadj} {n} came [near|out from the grass|closer and closer] and looked at the {d}.")
    s.say('"[are you hungry|do you want some|would you like a bite], little {n}?" asked {h}.',
          'the {n} looked so [thin|hungry|weak]. "[I did not eat all day|I am so hungry]," it said.')
    s.say("{h} was hungry too. {h.He} looked at the {d} and [thought for a moment|thought about it].",
          "the {d} was [small|not very big], and {h} [wanted it all|was hungry too].")
    s.para()
    s.say("then {h} broke the {d} in two and gave [half|one half|the bigger piece] to the {n}.",
          '"[here, this is for you|let us share|half for you and half for me]," said {h}, and {h.he} gave the {n} a big piece of {d}.')
    s.say("the {n} ate [it all|every crumb|quickly]. [It was so happy|It looked much better]. \"Thank you,\" it said.",
          "they sat [side by side|in the sun|together] and ate. The {d} tasted [even better|so good|very sweet].")
    s.para()
    kind2 = s.rng.random()
    if kind2 < .5:
        s.say("[the next day|some days later|later that week], {h} [fell into a hole|got lost|hurt {h.his} foot]. No one was near.",
              "[a few days later|the next day], {h} lost {h.his} way {p.at}.")
        s.say("but the {n} [heard {h.him} and came|was there]. It ran and [got help|brought help].",
              'the {n} saw {h.him}. "[You helped me|You were kind to me], now I help you," it said, and it [brought help|showed {h.him} the way home].')
    else:
        s.say("[the next day|in the morning], there was [a pretty shell|a red berry|a shiny stone|a nut|a blue feather] at {h.his} door. It was a gift from the {n}.",
              "after that, the {n} came [every day|again and again] to play with {h}.")
    s.say("{h} was [glad|happy] that {h.he} had shared.", "{h} learned that [sharing makes friends|a kind heart is never poor|when you share, you get something back].")
    s.close()


def broken_thing(s):
    """Something precious breaks; the hero confesses (perhaps after a lie)."""
    s.child(); s.adult(("mom", "dad", "grandma", "grandpa")); s.toy(nouns=("ball", "toy car", "toy plane", "toy train", "spinning top", "marble"))
    thing, adjs = s.pick([("vase", "blue pretty tall"), ("cup", "white favourite pretty"), ("lamp", "green old tall"),
                          ("window", "big round clean"), ("plate", "blue big pretty"), ("clock", "old little round"),
                          ("flower pot", "red big round"), ("mirror", "round old pretty")])
    s.words(v=thing, vadj=s.pick(adjs.split()))
    s.open(like=False)
    s.para()
    s.say("{when}, {h} [played|was playing] with {t.a} in the [living room|kitchen|house].",
          '"do not play with your {t} in the house," {g} always said. But {when}, {h} did it anyway.')
    s.say("[crash|smash|bang]! The {t} hit the {vadj} {v}, and [it broke|the {v} broke into many pieces].",
          "the {t} [flew too far|went the wrong way] and hit the {vadj} {v}. [Crash|Oh no]! It broke.")
    s.say("{h} was [very |so |]scared. \"[{G} will be angry|{G} will be so sad|What have I done]!\" {h.he} thought.",
          "{h} [looked at the pieces|stood very still]. {h.His} [face turned red|heart beat fast].")
    s.para()
    if s.rng.random() < .5:
        s.say("{h} hid the pieces [under the bed|behind the sofa|in a box|under the rug].")
        s.say('{g} came in. "[Where is the {v}|What happened to the {v}]?" {g.he} asked. "[I do not know|The cat did it|The wind did it]," said {h}.')
        s.say("but {h} felt [bad|sick in {h.his} tummy|heavy inside]. {h.He} could not [eat|sleep|play].",
              "that was [not true|a lie], and it made {h} feel [sad|bad|very small].")
        s.say("[at last|in the evening|after dinner], {h} went to {g}. \"I [must tell you something|told a lie]. I broke the {v},\" {h.he} said. \"[I am sorry|I am so sorry].\"")
    else:
        s.say("{h} wanted to [hide|run away]. But then {h.he} [took a deep breath and |]went to {g}.",
              "{h} thought [about it|for a while]. Then {h.he} called {g}.")
        s.say('"I [broke|hit] the {v} with my {t}," {h.he} said. "[I am sorry|I am very sorry|I did not mean to do it]."')
    s.say("{g} was [quiet|sad] for a moment. Then {g.he} [hugged {h}|took {h} in {g.his} arms|smiled a little].",
          "{g} was not [happy|glad about the {v}], but {g.he} [hugged|was not angry with] {h}.")
    s.say('"[thank you for telling the truth|I am proud that you told me|it was brave to tell me]," {g.he} said. "[A {v} is only a {v}|We can fix it|Let us clean it up together]."')
    s.para()
    s.say("together they [picked up the pieces|cleaned the floor|got some glue and fixed it].",
          "{h} [helped to clean up|swept the floor]. Then {h.he} took the {t} and played [outside|in the yard].")
    s.say("{h} felt [light|much better|good] again.", "{h} learned that [it is best to tell the truth|the truth makes you feel better].",
          "after that, {h} [always told the truth|played with the {t} only outside].")
    s.close()


def quarrel(s):
    """Two friends want the same thing; it goes wrong; they make up."""
    s.hero(); s.friend(); s.toy(); s.place("out")
    s.open()
    s.say("{h.His} best friend was {f.intro}.", "{h} had a friend named {f}.", "{h} and {f} were [good|best] friends.")
    s.para()
    s.say("{when}, they found {t.a} {p.at}. Both of them wanted it.", "{when}, {h} and {f} played {p.at}. There was {t.a}, but only one.",
          "{when}, {h} brought {t.a} {p.to}. {f} wanted to [have|hold] it too.")
    s.say('"[it is mine|give it to me|I want it]!" said {h}. "[No, it is mine|No, I saw it first|No, let go]!" said {f}.',
          '"[let me have it|I want it first]!" [cried|shouted] {f}. "No!" said {h}.')
    s.say("they pulled and pulled. [Then|Suddenly] the {t} [fell into the mud|flew into a bush|slipped and fell on the ground].",
          "{h} pulled on one side, and {f} pulled on the other side. [Plop|Oops]! The {t} fell [into a puddle|in the dirt].")
    s.say("{f} [ran home|walked away]. {f.He} was [angry|very angry|sad].", "now [nobody had the {t}|both were angry], and they did not talk anymore.")
    s.para()
    s.say("{h} sat [alone|all alone] {p.at}. [It was no fun to play alone|The {t} was no fun without {f}|{h.He} missed {f}].",
          "that [night|evening], {h} could not [stop thinking of {f}|sleep]. \"[I was not nice|I miss {f}],\" {h.he} thought.")
    s.say("[the next day|in the morning|after a while], {h} [washed|cleaned] the {t} and went to {f}.",
          "[the next morning|later], {h} took the {t} to {f}.")
    s.say('"[I am sorry|I am sorry that I was mean]," {h.he} said. "[You can have it first|Let us share it|We can take turns]."')
    s.say('"[I am sorry too|I am sorry, too|I was mean too]," said {f}.', "{f} [smiled|began to smile] and [gave {h.him} a hug.|said, \"Let us be friends again!\"]")
    s.say("so they took turns. First {f} had the {t}, and then {h}.", "they played with the {t} together, and it was [much more fun|twice as much fun|so much better].")
    s.say("{h} and {f} [never fought about the {t} again|were best friends again].", "a friend is [worth more|much better] than a {t}." , "they learned that [sharing is more fun than fighting|taking turns is fair].")
    s.close()


def fear(s):
    """A fear is overcome in small steps."""
    s.hero(.35); s.adult(("mom", "dad", "grandma", "grandpa")); s.place("water", slot="p"); hero = s.slots["h"]
    what, place, steps, done = s.pick([
        ("the dark", "{h.his} room", "turned on a small lamp|left the door open a little|counted the stars in the window", "slept in the dark"),
        ("thunder", "the house", "counted between the flash and the boom|clapped when the thunder came|sang a loud song", "listened to the thunder without fear"),
        ("deep water", "the lake", "put one foot in the water|held {g.his} hand|blew bubbles in the water", "swam like a little fish")
        if hero.kind not in ("duck", "frog", "penguin", "beaver", "turtle") else
        ("the wind", "the hill", "held {g.his} hand|took one small step|shouted at the wind", "ran up the hill in the wind"),
        ("big dogs", "the road", "looked at the dog from far away|held out one hand|said hello in a soft voice", "petted the big dog")
        if hero.kind in ("girl", "boy") else
        ("high places", "the hill", "took one small step|looked only up|held on to {g}", "stood on top of the hill"),
        ("the tall slide", "the playground", "climbed up three steps|sat at the top for a while|looked at the other children", "went down the slide with a shout"),
        ("the old bridge", "the river", "took one small step|looked only at the other side|held {g.his} hand", "ran over the bridge"),
    ])
    first, second = s.rng.sample(steps.split("|"), 2)
    s.words(fear=what, fplace=place, one=first, two=second, done=done)
    s.open()
    s.say("but {h.he} was afraid of {fear}.", "there was only one thing {h.he} did not like. It was {fear}.", "but {h} had one big fear. {h.He} was afraid of {fear}.")
    s.maybe(.5, "the others [laughed at {h.him}|were not afraid], and that made {h.him} sad.", "\"[I am too small|I can never do it],\" {h.he} often said.")
    s.para()
    s.say("{when}, {h} [shook with fear|wanted to run away|hid behind {g}].", "{when}, {h} [told {g} about it.|cried because of it.|said, \"I do not want to be afraid.\"]")
    s.say('"[everyone is afraid of something|I was afraid too, when I was little|being brave does not mean that you are not afraid]," said {g}. "[Let us try together|Let us take a small step|I am here with you]."')
    s.say("so {h} {one}. It was [hard|not easy|scary], but [nothing bad happened|{g} was there|{h.he} did it].",
          "first, {h} {one}. {h.His} [legs shook|heart beat fast|knees were weak].")
    s.say("then {h.he} {two}. [It was not so bad|That was better|It was a little easier].", "the next day, {h.he} {two}. \"[Good|Well done|Very good]!\" said {g}.")
    s.para()
    s.say("[day by day|little by little|step by step], {h} [became braver|was less afraid]. [One day|At last|In the end], {h.he} {done}!",
          "[after a week|soon|after some time], {h} was ready. {h.He} closed {h.his} eyes, opened them again, and {done}.")
    s.say('"[I did it|look at me|I am not afraid anymore]!" {h.he} [shouted|called|said].', "{h} was so [proud|happy] that {h.he} [laughed out loud|danced].")
    s.say("{g} [hugged|kissed] {h.him}. \"[I knew you could do it|You are so brave|I am proud of you],\" {g.he} said.",
          "now {h} tells others, \"[Take small steps|Just try it|You can do it too].\"")
    s.close()


def hurt_animal(s):
    """An injured animal is nursed and set free."""
    s.child(); s.place("out"); s.adult(("mom", "dad", "grandma", "grandpa"))
    kind, adjectives, part = s.pick(lx.SMALL_ANIMALS)
    s.words(n=kind, nadj=s.pick(adjectives.split()), part=part, home=s.slots["h"].home,
            bed=s.pick("a box with soft hay|a basket with a warm blanket|an old hat|a bed of leaves|a drawer full of soft wool"))
    s.open(trait=s.pick(["kind", "gentle", "careful"]))
    s.para()
    s.say("{when}, {h} [found|saw] a {nadj} {n} {p.at}. [It could not move|It lay {p.spot}|It was {p.spot}].",
          "{when}, {h} heard a [soft|weak|tiny] cry. {p.spot}, there was a {nadj} {n}.")
    s.say("its {part} was [hurt|broken|bleeding a little].", '"[oh, you poor thing|poor little {n}|you are hurt]," said {h}. The {n} had a hurt {part}.')
    s.say("{h} [picked it up|lifted it|took it in {h.his} hands] [very gently|with great care] and [carried|took|brought] it home.")
    s.say('"{g.kind}, [can we help it|can we make it well]?" asked {h}. "[We can try|Yes, let us try|I think so]," {g} said.',
          "{g} [looked at the {part}|got some warm water] and [put a bandage on it|showed {h} how to clean it].")
    s.para()
    s.say("{h} made {bed} for the {n}.", "they put the {n} in {bed}.")
    s.say("every day, {h} gave it [food and water|fresh water|warm milk and food] and [talked to it|sang to it|kept it warm].",
          "{h} [sat with it|stayed with it] [each day|for many hours] and [told it stories|sang little songs].")
    s.say("[day by day|little by little|slowly], the {part} [got better|became strong|healed].", "after [a week|ten days|two weeks], the {n} could [move its {part}|stand up|walk around] again.")
    s.maybe(.4, '"can I keep it?" asked {h}. "The {n} [has a family too|wants to be free|belongs outside]," said {g}.')
    s.para()
    s.say("then the day came to [say goodbye|let it go]. {h} [carried|took|brought] the {n} back {p.to}.")
    s.say('"goodbye, [little friend|my friend|little {n}]," {h.he} said. {h.He} was [a bit sad|sad and happy at the same time].',
          "the {n} looked at {h} one more time, and then it was gone.")
    s.say("but sometimes the {n} [comes back|comes to the window] to [say hello|visit {h.him}].", "{h} was [sad|a little sad], but {h.he} knew that the {n} was happy.",
          "a year later, {h} saw the {n} again. It had [three little babies|a family of its own]!")
    s.close()


def new_friend(s):
    """A shy newcomer is invited to play."""
    s.hero(.3); s.friend(); s.place("out"); s.toy()
    s.open(trait=s.pick(["shy", "shy", "friendly", "kind"])); shy = s.trait == "shy"
    s.para()
    if shy:
        s.say("{h} wanted a friend, but {h.he} did not know [what to say|how to ask].", "{h.He} always played alone, because {h.he} was afraid to talk to others.")
        s.say("{when}, {h.he} [sat|stood] alone {p.at} with {t.a}.", "{when}, {h} was {p.at}. {h.He} held {t.a} in {h.his} arms.")
        s.say("{f.a} came [closer|near|over]. \"[Hello, I am {f}|My name is {f}],\" {f.he} said. \"[I like your {t}|I would like to play with you|What a nice {t}].\"")
        s.say('{h} [looked down|turned red|said nothing]. Then {h.he} said in a [small|soft|quiet] voice, "[I am {h}|Hello, I am {h}|You can play with me]."')
    else:
        s.say("{when}, {h} saw {f.a} {p.at}. {f.He} was new and [sat alone|stood by a tree|had no one to play with]." if "tree" in s.slots["p"].flags else
              "{when}, {h} saw {f.a} {p.at}. {f.He} was new and [sat alone|had no one to play with].")
        s.say('"[nobody plays with {f.him}|{f.He} looks so lonely]," thought {h}.',
              "the others [ran past {f.him}|did not see {f.him}|played their own game].")
        s.say("{h} took {h.his} {t.full} and went over. \"[Hello, I am {h}|Hi, my name is {h}]. [Do you want to play|What is your name]?\" {h.he} asked.")
        s.say('"I am {f}," {f.he} [said|whispered]. "[I do not know anyone here|We just moved here|I would love to play]."')
    s.para()
    s.say("they [played with the {t}|took turns with the {t}] and [ran around|laughed a lot|told each other funny stories].",
          "{h} showed {f} how to {t.use}. [They laughed and laughed|{f} was good at it].")
    s.say("{f} [knew a new game|could make funny faces|could whistle like a bird|was good at jumping], and {h} [learned it too|liked that|laughed].",
          "they found out that they both loved {hobbying}." , "they both liked [apples|the colour blue|rainy days|songs about animals].")
    s.say('when [it got dark|it was time to go], {f} said, "[Will you come back tomorrow|Can we play again tomorrow]?" "Yes!" said {h}.',
          '"you are my [first|best|new] friend," said {f}. {h} [smiled|felt warm inside].')
    s.say("after that day, [{h} was never lonely again|they played together every day|{h} and {f} were always together].",
          "one little hello can [make a friend|change a day].", "{h} was [glad|happy] that {h.he} had said hello." if not shy else "{h} was glad that {f} had said hello.")
    s.close()


def bad_lie(s):
    """Crying wolf in many forms."""
    s.child(); s.words(who=s.pick("the farmer|the baker|the people in the village|the other children|{h.his} brothers"),
                       danger=s.pick("a wolf|a fire|a big bear|a snake|a bull"))
    s.open(trait=s.pick(["bored", "funny", "silly"])); s.say("{h} liked to play tricks on [others|people].", "{h} often told [lies|little lies] for fun.")
    s.para()
    s.say('{when}, {h.he} shouted, "Help! [There is {danger}|I see {danger}]!" But it was not true.')
    s.say("{who} came running. \"Where is it?\" they asked. {h} only laughed.".replace("they asked", "came the question"),
          "{who} ran to help, but there was nothing. {h} [laughed and laughed|thought it was funny].")
    s.say("the next day, {h.he} did it again. Again {who} came, and again {h} laughed.", "{h} did the same [trick|thing] the next day, and the day after that.")
    s.say('"[do not lie to us|this is not funny|stop that]," {h.he} was told.')
    s.para()
    s.say("but then {danger} really came! {h} was [so scared|very scared|full of fear].", "then, one day, there really was {danger}!")
    s.say('"[help me|please help|come quickly], there is {danger}!" {h.he} [cried|shouted|screamed]. But nobody came.', "{h} called for help, but [nobody came|everyone thought it was a trick].")
    s.say("{h} [ran|had to run] [as fast as {h.he} could|all the way home|and hid in a barn]. [At last|Luckily], {h.he} was safe.",
          "{h} [climbed a tree and waited|hid behind a wall] until [the danger was over|it was safe]." )
    s.say('"why did no one come?" {h} asked {h.his} [mom|dad|grandma]. "If you lie, nobody [believes you|will believe you], even when you tell the truth," was the answer.')
    s.say("{h} said sorry to everyone. {h.He} never told a lie again.", "from that day on, {h} [only told the truth|did not lie anymore].")
    s.maybe(.3, "and people [believed|trusted] {h.him} again.")


def jealous(s):
    """A new baby comes; the hero feels left out, then important."""
    s.hero(.25); s.adult(("mom", "dad")); s.toy("soft", "noise", "small")
    s.words(sib=s.pick(["brother", "sister"])); sib = s.slots["sib"]
    s.words(it="he" if sib == "brother" else "she", its="his" if sib == "brother" else "her", obj="him" if sib == "brother" else "her")
    s.open()
    s.say("one day, a baby {sib} came. [Everyone|The whole family] was [happy|excited].", "then {h} got a baby {sib}.")
    s.say("but now {g} had [no time|little time] for {h}. The baby [cried|slept|ate] all day.", "everyone looked only at the baby. Nobody [looked at|played with] {h}.")
    s.para()
    s.say('"[I do not like the baby|the baby can only cry|send the baby back]," said {h}.', "{h} felt [alone|forgotten|sad and angry]. {h.He} sat in a corner with {h.his} {t}.")
    s.say("{g} [sat down next to {h.him}|took {h} on {g.his} lap]. \"[I love you just as much as before|My heart is big enough for two|You will always be my {h.kind}],\" {g.he} said.".replace("my {h.kind}", "my dear {h}"))
    s.say('"and the baby needs [a big {sibs}|someone like you|you]," {g} [said|told {h.him}].'.replace("{sibs}", "sister" if s.slots["h"].gender == "f" else "brother"))
    s.para()
    s.say("[that night|the next day|one day], the baby cried and cried. Nothing helped.", "[later|the next morning], the baby would not stop crying.")
    s.say("{h} [came closer|went to the little bed] and [showed {obj} the {t.full}|held up {h.his} {t.full}|made a funny face].")
    s.say("the baby [stopped crying and smiled|looked at {h} and laughed|went quiet]. \"[{It} likes me|{It} smiled at me],\" said {h}.".replace("{It}", s.slots["it"].capitalize()))
    s.say("{h} [felt so proud|was proud]. [{h.He} gave the baby a soft kiss|Now {h.he} was a big {x}].".replace("{x}", "sister" if s.slots["h"].gender == "f" else "brother"))
    s.say("after that, {h} [helped every day|told the baby stories|sang to the baby every night].", "now {h} [loved|liked] {h.his} baby {sib}, and the baby loved {h.him}.")
    s.close()


PLOTS = [share_food, broken_thing, quarrel, fear, hurt_animal, new_friend, bad_lie, jealous]
