"""Plots about losing, finding, getting stuck, and getting lost."""

from . import lexicon as lx


def lost_toy(s):
    """A toy is lost; a helper looks in three places; it is found."""
    s.hero(); s.toy("small", "soft", "roll", "noise"); s.place("out"); s.helper(lx.FIND_HELPERS)
    s.open()
    s.say("{h} had {t.a}, and {h.he} took it everywhere.", "{h.His} favourite thing was {t.a}.",
          "{h} had {t.a}. {h.He} loved to {t.use}.")
    s.para()
    s.say("{when}, {h} took the {t} {p.to}.", "{when}, {h} went {p.to} with the {t}.")
    s.maybe(.5, "on the way, {h.he} saw {p.sight}.", "{h.He} saw {p.sight} and stopped to look.")
    s.say("{h.He} played [for a long time|until noon|and ran around], but then the {t} was gone.",
          "but on the way, {h.he} [dropped the {t}|let the {t} fall] and did not [see|notice] it.",
          "[soon|after a while], {h.he} looked down. The {t} was not there.")
    s.say('"oh no, [where is my {t}|I lost my {t}|my {t} is gone]!" [cried {h}|said {h}|{h} cried].',
          "{h} felt [very|so] sad. {h.He} looked [here and there|everywhere|all around].",
          "{h} began to cry. \"My {t}!\" {h.he} said. \"I [want it back|miss it so much].\"")
    s.para()
    s.say("{x.a} [heard {h.him}|came by|saw {h.him}]. \"[Why are you sad|What is wrong|Why do you cry]?\" [{x.he} asked|asked {x.the}].")
    s.say('"I [lost|cannot find] my {t}," said {h}. "[Can you help me|Will you help me look|Please help me]?"',
          '"my {t} is lost," {h} [said|answered].', "{h} told {x.the} about the {t}.")
    s.say('{x.The} {xdeed}. "[Let us look together|I will help you|Do not worry]," {x.he} said.',
          '"[of course I will help|I will help you]," said {x.the}. {x.He} {xdeed}.')
    s.say("they looked {p.spot}, but [it was not there|they only found a leaf|there was nothing].",
          "first they looked {p.spot}. [No {t}|Nothing]!")
    s.maybe(.6, "they looked {p.spot2}, but [it was not there either|there was only an old shoe|they saw only a beetle].",
            "then they looked {p.spot2}. [It was not there|Still no {t}].")
    s.say("[at last|then], {x.the} looked {p.spot3}. [There it was|There was the {t}]!",
          "[at last|in the end], they found the {t} {p.spot3}.",
          '"look!" said {x.the}. The {t} was {p.spot3}.')
    s.para()
    s.say('{h} [hugged the {t}|jumped for joy|was so happy]. "Thank you, [my friend|little friend|dear friend]," {h.he} said.',
          '"thank you!" said {h}. "[You are a good friend|You are so clever|I could not find it alone]."')
    s.say("from that day on, {h} [took good care of the {t}|held the {t} tight|and {x.the} were friends].",
          "{h} and {x.the} played together until [the sun went down|it was time to go home].")
    s.close()


def stuck_high(s):
    """A flying thing gets stuck in a tree; trying fails; a climber helps."""
    s.child(); s.toy("fly"); s.place("out", "tree"); s.helper(lx.UP_HELPERS)
    s.open(); s.words(tree=s.pick(lx.TREES))
    s.para()
    s.say("{when}, {h} [took {h.his} {t.full} {p.to}|went {p.to} with {t.a}|got {t.a} and ran {p.to}].")
    s.say("the wind [blew hard|was strong|came up]. It [pulled|took] the {t} out of {h.his} hands.",
          "{h.He} let go of the {t}, and the wind took it [up and up|away].",
          "whoosh! A big wind [came|blew], and up went the {t}.")
    s.say("the {t} [got stuck|landed|was caught] [high up in|at the top of] [a tall {tree} tree|an old {tree} tree].")
    s.say('"[oh no|oh dear], [my {t}|my poor {t}]!" said {h}.', "{h} looked up. It was [too high|so high].",
          '"come down, {t}!" {h} called, but the {t} did not move.')
    s.para()
    s.say("{h} jumped and jumped, but {h.he} [was too small|could not reach it|could not get it].",
          "{h.He} [shook the tree|threw a stick], but the {t} [stayed there|did not fall].",
          "{h.He} tried to climb, but {h.he} [slid down|was afraid to fall|could not hold on].")
    s.maybe(.5, "{h.He} shook the tree, but only leaves fell on {h.his} head.",
            "{h.He} found a long stick, but it was [not long enough|too short].",
            "{h.He} sat down under the tree and [sighed|was sad].")
    s.say('{x.a} saw {h.him}. "[I can help you|Do you need help|May I help]?" {x.he} [asked|said].',
          'then {x.a} came by. "[Can I help|Do you want some help]?" asked {x.the}.')
    s.say('"my {t} is [stuck|in the tree]," said {h}. "[I cannot reach it|It is too high for me]."',
          '"yes, please," said {h}. "[The {t} is too high for me|I want my {t} back]."')
    s.say("{x.The} {xdeed} and [pulled the {t} free|pushed the {t} down|got the {t}].",
          '"[that is easy|wait here|no problem]," said {x.the}. {x.He} {xdeed}. Soon the {t} was [free|down again].')
    s.para()
    s.say("the {t} came down, [right into {h.his} arms|and {h} caught it|soft as a leaf].",
          '{h} [clapped {h.his} hands|laughed|danced]. "[Hooray|You did it|Thank you so much]!" {h.he} said.')
    s.say('"thank you, {x.kind}," said {h}. {h.He} gave {x.him} [a nut|a hug|some of {h.his} bread|a piece of apple].',
          "{h} let {x.the} play too. They [had a lot of fun|played all day|were very happy].",
          "{h} learned that [it is good to ask for help|a friend can help when you are too small].")
    s.close()


def lost_child(s):
    """The hero follows something and gets lost; a guide shows the way home."""
    s.hero(); s.place("out", "wild"); s.helper(lx.FIND_HELPERS); s.adult(("mom", "dad", "grandma"))
    s.words(lure=s.pick("a yellow butterfly|a white rabbit|a tiny blue bird|a shiny beetle|a rolling leaf|a funny sound"))
    s.open(trait="curious")
    s.say('"[stay near the path|do not go too far|come home before dark]," {g} [always|often] said.',
          '{g} told {h.him}, "[Do not go far|Stay close to home|Be back before dark]."')
    s.para()
    s.say("{when}, {h} [saw|heard|found] {lure}. {h.He} followed it [{p.to}|all the way {p.to}|far away {p.to}].",
          "{when}, {h} was {p.at} when {h.he} noticed {lure}. {h.He} ran after it, [farther and farther|over hills and stones].")
    s.say("[soon|when it was gone], {h} did not know [where {h.he} was|the way home].",
          "{h} turned around. [The path was gone|Everything looked strange|There was no path anymore].")
    s.say("the sky [grew|became] dark, and {h} was [scared|afraid|all alone].",
          '"[I am lost|I do not know this place|I want to go home]," {h} [whispered|said] in a small voice.',
          "{h.He} sat down and began to cry.")
    s.para()
    s.say("just then, {x.a} [came out|appeared|stopped next to {h.him}]. \"[Are you lost|Why are you crying|What are you doing here]?\" asked {x.the}.",
          "{h} heard a soft sound. It was {x.a}. \"[Hello, little one|Who are you|Are you lost]?\" said {x.the}.")
    s.say('"yes," said {h}. "[I want to go home|I miss {g}|I do not know the way]."',
          '"I went too far, and now I [am lost|cannot find my home]," said {h}.')
    s.say('"[do not be afraid|do not cry|come with me]. [I know the way|I will show you the way]," {x.he} said. {x.The} {xdeed} and found the path.',
          '{x.The} {xdeed}. "[This way|Follow me|I know where you live]!" {x.he} said.')
    s.say("they walked [past the big rock|over a little bridge|under the tall trees] and [down the hill|along the stream|through the tall grass].",
          "{h} [held on to|stayed close to|walked behind] {x.the}, and soon {h.he} saw [the lights of|the roof of|smoke from] {h.his} home.")
    s.para()
    s.say('{g} ran out and hugged {h.him}. "[There you are|I was so worried|You are safe]!" {g.he} said.',
          "{g} was [waiting at the door|looking for {h.him}] and gave {h.him} a [big|long|warm] hug.")
    s.say('"[I am sorry|I am so sorry]," said {h}. "Next time I will [stay near|not go so far|listen to you]."',
          "{h} [promised|said] that {h.he} would [never go so far again|always stay near the path].")
    s.say("{h} waved to {x.the} and called, \"Thank you!\"", "{x.The} got [a warm supper|a big thank you|some soup] and a soft place by the fire.")
    s.close()


def found_thing(s):
    """The hero finds a thing that belongs to somebody and gives it back."""
    s.child(); s.toy("small", "soft", "noise", "roll"); s.place("out"); s.friend()
    s.open(trait=s.pick("honest kind good".split()))
    s.para()
    s.say("{when}, {h} [walked|went|ran] {p.to}. There, {p.spot}, {h.he} [saw|found] {t.a}.",
          "{when}, {h} was {p.at}. {h.He} looked {p.spot} and [found|saw] {t.a}.")
    s.say('"[what a nice {t}|wow, a {t}|how pretty]!" {h.he} said. {h.He} wanted to keep it.',
          "it was the [best|prettiest|nicest] {t} {h.he} had ever seen. {h.He} wanted to [keep it|take it home].")
    s.say("but then {h.he} thought, \"[Someone must miss it|It is not mine|Maybe somebody is looking for it].\"",
          "{h.He} put it in {h.his} bag. But {h.he} did not feel [good|right]. The {t} [was not for {h.him}|belonged to someone else].")
    s.para()
    s.say("[then|soon], {h} [heard someone cry|saw {f.a}]. It was {f}, {f.a} from the [town|village|next street].",
          "{h} [met|saw] {f.intro}. {f.He} looked [sad|very sad].")
    s.say('"[what is wrong|why are you sad]?" asked {h}. "I lost my {t}," said {f}. "[It was a gift from my grandma|I had it since I was a baby|I looked everywhere]."',
          '"[did you see|have you seen] a {t}?" {f} asked. "[It is {t.adjective}|I lost it here|I lost mine yesterday]."')
    s.say('{h} held out the {t}. "Is [this|it] [yours|the one]?" {h.he} asked.',
          "{h} [looked at the {t} one last time|took a deep breath]. Then {h.he} gave it to {f}.")
    s.say('"[yes, that is my {t}|my {t}|you found it]!" cried {f}. {f.He} [hugged {h.him}|smiled and smiled|jumped up and down].',
          "{f} [laughed|smiled|was so happy]. \"Thank you, {h}! You are so [kind|good|honest],\" {f.he} said.")
    s.para()
    s.say("{f} let {h} play with the {t} too, and [they had a lot of fun|they became good friends|they played until dark].",
          "{h} [had no {t}|did not have the {t} anymore], but {h.he} had a new friend. [That was much better|That was even better].",
          "from then on, {h} and {f} [played together every day|were best friends].")
    s.close()


def messy_room(s):
    """A missing thing turns up when the room is cleaned."""
    s.child(); s.toy("small", "soft", "read", "wear", "roll"); s.adult(("mom", "dad", "grandma")); s.toy(slot="u")
    s.open(like=True); s.words(a=s.pick(lx.ROOM_SPOTS[:5]), b=s.pick(lx.ROOM_SPOTS[5:]))
    s.say("but {h.his} room was [always|very] messy. [Toys lay everywhere|There were socks on the floor|One could not see the floor].",
          "{h} did not like to clean {h.his} room.")
    s.para()
    s.say("{when}, {h} wanted to [play with|take out|find] {h.his} {t.full}, but {h.he} could not find it.",
          "{when}, {h} looked for {h.his} {t.full}. It was [nowhere|not on the shelf|not in the box].")
    s.say('"{g.kind}, where is my {t}?" {h.he} [asked|called].', '"[my {t} is gone|somebody took my {t}]!" {h.he} cried.')
    s.say('{g} looked at the room. "[Maybe it is under all this|Clean your room and you may find it|It must be here somewhere]," {g.he} said.',
          '"[first we tidy up|let us clean up first]," said {g}. "[Then we will see|I will help you]."')
    s.say("{h} [sighed|frowned|did not want to], but {h.he} [began|started to clean|got to work].")
    s.para()
    s.say("{h.He} put the [books on the shelf|blocks in the box|socks in the drawer|crayons in the cup]. {h.He} looked {a} and found {u.a}.",
          "{a}, {h.he} found {u.a}. {h.He} had forgotten all about it!")
    s.say("then {h.he} looked {b}, and there was the {t}!", "[at last|and then], {b}, {h.he} saw [something {t.adjective}|something]. It was the {t}!")
    s.say('"I found it!" {h} [shouted|called|cried]. {h.He} held the {t} [up high|in both hands|tight].',
          "{h} [danced around|laughed] with the {t} in {h.his} arms.")
    s.say('"[see|well done]," said {g} with a smile. "[A clean room keeps things safe|Now everything has a place|When things have a place, they do not get lost]."',
          "{g} [smiled|was proud]. The room looked [so nice|clean and bright].")
    s.say("after that, {h} [cleaned {h.his} room every day|always put {h.his} things away|kept the {t} on the shelf].",
          "{h} learned that [a tidy room is a good thing|it is easy to find things in a tidy room].")
    s.close()


def runaway_pet(s):
    """A pet slips away and is won back with patience."""
    s.child(); s.place("out", avoid=("beach",)); s.adult(("mom", "dad"))
    pet, treat, call = s.pick([("puppy", "a bone", "barked"), ("kitten", "a bowl of milk", "meowed"),
                               ("rabbit", "a carrot", "wiggled its nose"), ("pony", "an apple", "shook its head"),
                               ("duckling", "some bread", "quacked"), ("goat", "some fresh grass", "said baa")])
    s.words(pet=pet, treat=treat, call=call, col=s.pick("brown white black spotted grey".split()))
    s.open()
    s.say("{h} had a {col} {pet}. They [were best friends|did everything together|played every day].",
          "{h.He} had a pet, a {col} {pet}. {h} loved it very much.")
    s.para()
    s.say("{when}, {h} forgot to close the gate. The {pet} ran [out|away] [{p.to}|down the road|into the street and was gone].",
          "{when}, the gate was open, and the {pet} [ran away|slipped out|was gone].")
    s.say('"come back!" {h} [called|shouted], but the {pet} [did not stop|was too fast|only ran faster].',
          "{h} ran after it, but {h.he} [fell down|was too slow|could not catch it].")
    s.say("{h} looked {p.at}. {h.He} [asked a man with a cart|asked an old woman|called again and again]. [No one had seen the {pet}|There was no {pet}].",
          '"[I left the gate open|it is my fault]," {h} said, and tears ran down {h.his} [face|cheeks].')
    s.para()
    s.say('then {g} came and took {h.his} hand. "Do not run," {g.he} said. "[Sit down and wait|Be quiet and hold out {treat}|Bring {treat}]."',
          'but {g} had an idea. "[Put {treat} on the ground|Let us take {treat} with us]," {g.he} said.')
    s.say("so {h} got {treat} and [sat very still|waited without a sound|waited {p.spot}].")
    s.say("[soon|after a long time|at last], the {pet} came out from {hide}. It {call} and [came closer|came to {h}|ran into {h.his} arms]."
          .replace("{hide}", s.pick("a hedge|a ditch|some bushes|the tall grass")),
          "[after a while|then], there was a small noise. The {pet} {call} and came [step by step|slowly] to {h}.")
    s.say('{h} [hugged the {pet}|put {h.his} arms around it]. "[I missed you|I am so glad you are back|Never run away again]," {h.he} [said|whispered].')
    s.say("after that, {h} [always closed the gate|never forgot the gate again|checked the gate two times].",
          "{h} learned to [be careful with the gate|close the gate every time].")
    s.close()


def treasure(s):
    """A map leads to a box; what is inside is worth sharing."""
    s.hero(.2); s.friend(); s.place("out", "wild"); s.place("out", slot="q", avoid=(s.slots["p"].noun,))
    s.toy(); s.words(inside=s.pick("gold coins|old books|shiny stones|sweets|coloured beads|tiny toys|letters and a key"),
                     box=s.pick("box|chest|basket|jar"), where=s.pick("an old bottle|a hollow tree|a dusty book|a drawer in the attic|the pocket of an old coat"))
    s.open()
    s.para()
    s.say("{when}, {h} found [a map|an old map|a piece of paper with a map] in {where}. {h.He} showed it to {f}, {h.his} [best |]friend.",
          "{when}, {h} and {h.his} friend {f} found a map in {where}.")
    s.say('"[look, a treasure map|there is a red cross on it|maybe there is a treasure]!" said {f}.',
          '"[let us find the treasure|we must follow the map|come, let us go]!" said {h}.')
    s.say("they [followed the map|went|walked] {p.to}. There they saw {p.sight}.",
          "first, the map led them {p.to}. They looked {p.spot}, but [it was not there|there was no cross|the map said to go on].")
    s.say("then they [crossed a stream|went up a path|jumped over a ditch] and came {q.to}.",
          "the path was [long|steep|full of stones], but they [did not give up|sang a song|held hands].")
    s.maybe(.5, '{f} was [tired|a little scared]. "[I want to go back|It is so far]," {f.he} said. "[Just a little more|We are almost there]," said {h}.')
    s.para()
    s.say("{q.at}, [behind|next to|under] a [big|flat|mossy] stone, they [dug|began to dig]. [Clonk|Bump]! They hit something hard.",
          "they saw a cross of sticks on the ground. They dug and dug until they found [something hard|something made of wood].")
    s.say("it was an old {box}. Inside were {inside}[ and {t.a}|].", "it was a {box} full of {inside}.")
    s.say('"[it is all ours|we are rich|how wonderful]!" [said|laughed] {f}.', "their eyes [grew big|were round with wonder].")
    s.say("{h} and {f} shared [everything|the treasure] [with their friends|with everyone at home|half and half].",
          '"[let us share it|we will share it with everyone]," said {h}, and so they did.')
    s.say("but the best [treasure|part] was [the day they had together|their friendship|the adventure].",
          "then they put a new map in {where} for [someone else|the next friends] to find.")
    s.close()


def noise_night(s):
    """A strange noise turns out to be something harmless."""
    s.hero(.4); s.adult(("mom", "dad", "grandma", "grandpa"))
    noise, cause, small = s.pick([
        ("tap, tap, tap", "a branch that touched the window", "branch"), ("squeak, squeak", "a tiny mouse with a crumb", "mouse"),
        ("whooo, whooo", "an owl on the roof", "owl"), ("scratch, scratch", "a kitten that wanted to come in", "kitten"),
        ("drip, drop", "water that fell into a bucket", "water"), ("bump, bump", "a door that moved in the wind", "door"),
        ("rattle, rattle", "a raccoon at the old tin can", "raccoon"), ("buzz, buzz", "a little fly behind the curtain", "fly")])
    s.words(noise=noise, cause=cause, small=small)
    s.open(trait=s.pick([None, "brave", "shy", "curious"]))
    s.para()
    s.say("one night, {h} was [in bed|almost asleep|under the warm blanket]. Then {h.he} heard a [strange|funny|scary] noise. \"{noise}!\"",
          "it was [dark|late|a windy night], and {h} could not sleep. \"{noise},\" went something in the dark.")
    s.say('"[who is there|what is that]?" {h} whispered. [No one answered|There was no answer].',
          "{h} pulled the blanket over {h.his} head. [{h.His} heart went fast|{h.He} was very scared].",
          "{h.He} thought of [a monster|a ghost|a big hungry wolf].")
    s.say('"{noise}!" went the noise again.', "the noise [came again|did not stop|grew louder].")
    s.para()
    s.say("{h} [called|ran to] {g}. \"[I heard a monster|There is something in the dark|I am scared],\" {h.he} said.",
          '{g} came with a [lamp|candle|small light]. "[What is it|Why are you awake]?" {g.he} asked.')
    s.say('"[let us look together|we will go and see|let us be brave and look]," said {g}. {g.He} took {h.his} [hand|paw].'
          .replace("[hand|paw]", "hand" if s.slots["h"].kind in ("girl", "boy") else "paw" if s.slots["h"].kind not in ("duck", "owl", "penguin") else "wing"),
          'so they went together, [on quiet feet|very slowly|step by step].')
    s.say("they [looked out|opened the door|followed the sound], and what did they see? It was only {cause}!",
          "{h} held the light up high. There was no monster. It was just {cause}.")
    s.say('{h} began to laugh. "[It was only a {small}|You gave me a fright, {small}|I was afraid of a {small}]!" {h.he} said.'.replace("a {small}", "the {small}"),
          "they both laughed [and laughed|until their tummies hurt].")
    s.say("then {h} went back to bed and was not scared [anymore|of the noise again].",
          '"things are not so scary when you [look at them|know what they are|turn on the light]," said {g}.',
          "after that, {h} [slept well|liked the sound at night|said good night to the {small}].")
    s.maybe(.3, "soon, {h.he} was fast asleep.")


PLOTS = [lost_toy, stuck_high, lost_child, found_thing, messy_room, runaway_pet, treasure, noise_night]
