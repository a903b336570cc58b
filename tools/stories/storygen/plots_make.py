"""Plots about making, growing, learning and giving."""

from . import lexicon as lx


def baking(s):
    """Something is baked; an ingredient goes wrong; it ends well."""
    s.hero(.2); s.adult(("mom", "dad", "grandma", "grandpa", "aunt", "uncle")); s.food("baked")
    right, wrong = s.pick([("sugar", "salt"), ("milk", "water"), ("flour", "sand"), ("honey", "mustard"), ("cinnamon", "pepper")])
    s.words(right=right, wrong=wrong, bowl=s.pick("big bowl|blue bowl|large pot"), who=s.pick("the neighbours|a sick friend|the whole family|the school|an old man next door"))
    s.open()
    s.para()
    s.say("{when}, {h} and {g} wanted to [bake|make] {d.a}.", '{when}, {g} said, "[Let us bake {d.a}|Do you want to bake {d.a} with me]." {h} [clapped {h.his} hands|was excited].'.replace("Do you want to bake {d.a} with me", "Come, we will make {d.a}"),
          "{when}, {h} wanted to make {d.a} for {who}. {g} [came to help|helped].")
    s.say("they took [flour and eggs|eggs and butter|flour and butter] and put them in a {bowl}.", "{g} broke the eggs, and {h} stirred [with a big spoon|as fast as {h.he} could].")
    s.say('"now we need {right}," said {g}. {h} took a [jar|bag|tin] from the shelf and [poured it in|put some in].',
          "{h} was in a hurry. {h.He} took the first [jar|bag|tin] {h.he} saw and did not [read the label|ask].")
    s.say("they put the {d} in the oven. Soon the kitchen smelled [good|sweet|warm].", "the {d} [baked|was in the oven] for a long time. {h} [watched through the glass|could not wait].")
    s.para()
    s.say('when it was done, {h} took a bite. "[Yuck|Oh no|Ugh]! It tastes [awful|terrible|so strange]!" {h.he} said.', "then they tried it. {h} made a [funny|terrible] face.")
    s.say("it was [not {right}, but {wrong}|{wrong} and not {right}]!", '{g} looked at the jar. "[This is {wrong}, not {right}|You put in {wrong}]," {g.he} said.')
    s.say("{h} [was sad|wanted to cry|looked at the floor]. \"[I made a mistake|I am sorry|Now it is all bad],\" {h.he} said.",)
    s.say('but {g} [began to laugh|smiled|laughed]. "[Everyone makes mistakes|I did that once too|That happens to all of us]," {g.he} said. "[Let us try again|We will make a new one]."')
    s.para()
    s.say("this time, {h} [looked at every jar|read each label|tasted the {right} first]. The new {d} was [perfect|sweet and soft|very tasty].",
          "so they made another {d}. {h} [was very careful|took the right jar], and it came out [golden|perfect|warm and sweet].")
    s.say("they [shared it with|gave a piece to] {who}, and everyone [wanted more|said it was the best {d} ever|liked it].", "{h} ate [a big piece|two pieces] and [licked {h.his} fingers|smiled]." if s.slots["h"].kind in ("girl", "boy") else "{h} ate a big piece and smiled.")
    s.say("{h} learned that [a mistake is not the end|you can always try again].", "{h} [laughs about the {wrong} {d} to this day|never mixed up {right} and {wrong} again].")
    s.close()


def planting(s):
    """A seed, patience, and what grows."""
    s.hero(.3); s.adult(("grandma", "grandpa", "mom", "dad", "aunt"))
    plant, fruit = s.pick([("sunflower", "a flower as tall as the house"), ("apple tree", "sweet red apples"), ("pumpkin", "a huge orange pumpkin"),
                           ("bean", "long green beans"), ("tomato", "round red tomatoes"), ("strawberry", "sweet strawberries"), ("rose", "a beautiful red rose"),
                           ("carrot", "a big orange carrot"), ("pear tree", "juicy yellow pears"), ("melon", "a round green melon")])
    s.words(plant=plant, fruit=fruit, spot=s.pick("near the fence|next to the house|behind the barn|in a sunny spot|by the old wall"))
    s.open(trait=s.pick([None, "impatient", "curious"]))
    s.para()
    s.say("{when}, {g} gave {h} a [tiny|small|little] seed. \"[What is it|What can I do with it]?\" asked {h}. \"[Plant it and see|Put it in the ground and wait|It will be a {plant}],\" said {g}.",
          "{when}, {h} found a [tiny|small|funny] seed. \"[It is a {plant} seed|Plant it, and it will grow],\" said {g}.")
    s.say("{h} [dug|made] a [little|small] hole {spot}, put the seed in, and [covered it with earth|gave it some water].")
    s.say("the next [morning|day], {h} ran out to look. [There was nothing|Nothing had grown|{h.He} saw only brown earth].", "{h} sat down and [waited|watched the earth]. [Nothing happened|It did not grow].")
    s.say('"[it does not grow|my seed is asleep|it is not working]," {h} said. "[Be patient|Give it time|A plant needs time]," said {g}.',
          '"when will it [grow|come up]?" asked {h}. "[Soon|You must wait|Not today]," said {g} with a smile.')
    s.para()
    s.say("every day, {h} [gave it water|watered the seed] and [sang to it|pulled out the weeds|talked to it].", "{h} waited one day, two days, three days. {h.He} [gave it water|took good care of it] each day.")
    s.maybe(.5, "once, [a goat wanted to eat it, but {h} chased it away|a storm came, and {h} put a box over it|it was very hot, so {h} gave it some shade].",
            "it rained, and then the sun shone [again|warm and bright].")
    s.say("then, one morning, there was a [tiny|small] green leaf! \"[It is growing|Look, it is here|Hello, little plant]!\" {h} [shouted|called|said].")
    s.say("the plant grew [bigger and bigger|taller every day], and in the [summer|end], there was {fruit}.", "[weeks later|after many weeks], {h} saw {fruit}.")
    s.para()
    s.say('"[you waited and took care of it|good things take time|now you see what patience can do]," said {g}.', "{h} was so proud. {h.He} [showed it to everyone|danced around it|shared it with {g}].")
    s.say("{h} [kept some seeds|saved the new seeds] for the next year.", "{h} learned that [good things need time|it is good to be patient].")
    s.close()


def learn_skill(s):
    """Try, fall, try again, succeed."""
    s.child(); s.adult(("mom", "dad", "grandpa", "grandma", "uncle", "aunt")); s.place("out", avoid=("lake", "river", "beach"))
    verb, ing, tries, tip, win = s.pick([
        ("ride a bike", "riding a bike", "fell to the left|fell into a bush|lost the pedal", "look far ahead", "rode all the way around the yard"),
        ("whistle", "whistling", "blew only air|made a wet sound|got red in the face", "make your lips round", "whistled a whole song"),
        ("skate", "skating", "slipped and sat down hard|held on to the fence|fell on {h.his} knees", "bend your knees", "glided along like a bird"),
        ("jump rope", "jumping rope", "got tangled|stepped on the rope|jumped too late", "listen to the beat", "jumped ten times in a row"),
        ("tie {h.his} shoes", "tying shoes", "made a big knot|lost one end|pulled too hard", "make two rabbit ears", "tied a perfect bow"),
        ("walk on stilts", "walking on stilts", "fell after one step|swayed and jumped off|stepped on {h.his} own foot", "take small steps", "walked like a giant"),
        ("catch a ball", "catching a ball", "dropped it|closed {h.his} eyes|ran the wrong way", "watch the ball all the time", "caught five balls in a row"),
        ("play the flute", "playing the flute", "made an ugly noise|ran out of breath|hit the wrong note", "breathe slowly", "played a sweet little tune"),
        ("do a cartwheel", "doing cartwheels", "fell over like a sack|landed on {h.his} back|bumped {h.his} elbow", "keep your arms straight", "did a cartwheel across the grass"),
    ])
    one, two = s.rng.sample(tries.split("|"), 2)
    s.words(skill=verb, skilling=ing, one=one, two=two, tip=tip, win=win)
    s.open()
    s.say("{h} wanted to learn to {skill}.", "more than anything, {h} wanted to {skill}.", "all the other children could {skill}, but {h} could not.")
    s.para()
    s.say("{when}, {h.he} tried [it for the first time|it {p.at}]. {h.He} {one}.", "{when}, {h} [went {p.to} to practise|began to practise]. First, {h.he} {one}.")
    s.say("{h.He} tried again and {two}.", "then {h.he} {two}. It [was hard|did not work].", "the second time, {h.he} {two}.")
    s.say('"[I give up|I cannot do it|I will never learn it|this is too hard]!" {h} [cried|said|shouted].', "{h} [sat down on the ground|stamped {h.his} foot|was angry]. \"[It is too hard|I am no good at this],\" {h.he} said.")
    s.para()
    s.say('{g} came and sat [down beside|next to] {h.him}. "[I could not do it at first, too|Nobody can do it the first time|I fell many times when I was little]," {g.he} said. "[Try again|Try once more], and {tip}."',
          '"[do not give up|try one more time]," said {g}. "[Remember this|Here is a secret]: {tip}."')
    s.say("so {h} tried [again and again|the next day, and the next|once more, and then once more].", "{h} practised [every day|for a whole week|all afternoon]. [It got a little better|Each time it was a bit easier].")
    s.say("[at last|then one day|and then, suddenly], {h} {win}!", "[and then it happened|on the last try]. {h} {win}!".replace("on the last try]. ", "one day it worked]. "))
    s.say('"[I can do it|look at me|I did it]!" {h.he} [called|shouted|laughed].', '"[hooray|bravo|well done]!" [called|said] {g} and clapped.')
    s.say("now {h} [loves {skilling}|teaches the smaller children].", "{h} learned that [you must try many times|practice makes things easy|it is good not to give up].")
    s.close()


def build(s):
    """Something built is knocked down, then built again and better."""
    s.hero(.3); s.friend()
    thing, where, parts, doom = s.pick([
        ("sandcastle", "at the beach", "wet sand and shells|buckets of sand", "a big wave came and washed it away|a dog ran right over it"),
        ("tower", "in the yard", "blocks and boxes|old boxes", "the wind knocked it down|a cat jumped on it and it fell"),
        ("tree house", "in the oak tree", "old boards and rope|branches and boards", "a storm blew the roof off|one board broke and it all came down"),
        ("snow house", "behind the barn", "snow and ice|big balls of snow", "the sun came out and it melted|a heavy branch fell on it"),
        ("little bridge", "over the stream", "sticks and stones|logs and rope", "the water carried it off|the middle broke and it fell in"),
        ("hut", "in the woods", "sticks and leaves|branches and moss", "the rain made it fall|a big cow leaned on it and it fell"),
        ("raft", "on the lake", "logs and rope|old boards and rope", "the rope came loose and it fell apart|it hit a rock and broke"),
        ("boat of wood", "by the river", "boards and nails|an old door", "it filled with water and sank|the river took it away")])
    s.words(b=thing, where=where, parts=s.pick(parts), doom=s.pick(doom))
    s.open()
    s.para()
    s.say("{when}, {h} wanted to build a {b} {where}. {h.His} friend {f} [came to help|wanted to help].", "{when}, {h} and {h.his} friend {f} [built|made] a {b} {where}.",
          '{when}, {h} said to {f}, "Let us build a {b} {where}." {f} [liked the idea|said yes].')
    s.say("they [used|took|worked with] {parts} and worked [all morning|for hours|very hard].", "{h} [brought|carried] {parts}, and {f} [put it all together|showed where to put it].")
    s.say("it was the [best|biggest|finest] {b} [in the world|they had ever made]. \"[I love it|It is so good|We are good builders]!\" said {f}.", "the {b} was [big|strong|so beautiful]. They were very proud.")
    s.say("but then {doom}!", "[suddenly|in the afternoon|that night], {doom}.")
    s.para()
    s.say("{h} [cried|was so sad|felt like crying]. \"[Our {b}|All that work]! [It is gone|Now it is broken],\" {h.he} said.", '"[oh no, our {b}|it was so beautiful]!" [said|cried] {f}.')
    s.say('"[we can build it again|do not be sad, we will make a new one|we know how to do it now]," said {f}. "[This time, it will be stronger|We will make it even better]."'
          if s.rng.random() < .5 else '{h} thought for a while. "[We can make a better one|Let us try again, but stronger|Now we know what went wrong]," {h.he} said.')
    s.say("they [found a better place|made the walls thicker|used more {parts}] and [worked together|did not stop|sang while they worked].".replace("used more {parts}", "asked some friends to help"))
    s.say("[when the sun went down|at last|two days later], the new {b} was [ready|done]. It was [twice as big|much stronger|even better than the first one].")
    s.say("they [sat and looked at it|ate some bread next to it|jumped for joy]. \"[We make a good team|Together we can do it],\" said {h}.",
          "{h} learned that [things can break, but you can start again|with a friend, you can do hard things].")
    s.close()


def gift(s):
    """A gift made by hand is worth more than a bought one."""
    s.hero(.2); s.adult(("mom", "dad", "grandma", "grandpa"))
    made, made_of = s.pick([("necklace", "shells|seeds and string|blue beads"), ("picture", "paint and paper|leaves and glue|coloured chalk"), ("card", "paper and a red ribbon|paper and dried flowers"),
                            ("crown", "flowers|yellow leaves"), ("song", "funny words|soft words"), ("basket", "grass|thin branches"), ("little house", "clay|wood"), ("candle", "wax and honey|wax and flowers")])
    s.words(m=made, of=s.pick(made_of), shop=s.pick("a golden ring|a fine hat|a silk scarf|a silver spoon|a big cake|a warm coat"))
    s.open()
    s.para()
    s.say("it was [almost|soon] the birthday of {g}. {h} wanted to give {g.him} something [nice|special].", "{when}, {h} remembered that it was the birthday of {g}. {h.He} had no [gift|present] yet."
          )
    s.say("{h} went to a shop and saw {shop}. But {h.he} had only [one coin|two small coins|a button in {h.his} pocket].", "in the shop there was {shop}, but it cost too much.", '"I would like {shop}," {h} told the man in the shop. But {h.he} [did not have enough money|had no money].')
    s.say("{h} walked home with [empty hands|a sad face|{h.his} head down]. [What could {h.he} do|What now]?", '"[what can I give|now I have nothing to give]?" {h} [thought|asked {h.refl}].'.replace("now I have nothing to give", "what else can I do"))
    s.para()
    s.say("then {h.he} had an idea. \"[I will make something|I can make a {m}]!\" {h.he} said." , "{h} sat down and thought. [Then {h.he} jumped up|Suddenly {h.he} smiled]. {h.He} would make a {m}!")
    s.say("{h.He} took {of} and worked [all day|until it was dark|very carefully].", "{h.He} made the {m} out of {of}. It took [a long time|all afternoon|two days].")
    s.maybe(.5, "it was not perfect. [One side was bigger than the other|It was a little crooked|It had a small mistake].", "{h} was [nervous|not sure]. \"[I hope it is good enough|Maybe it is too small],\" {h.he} thought.")
    s.say("[on the big day|the next morning], {h} gave {g} the {m}. \"[Happy birthday|This is for you|I made it for you],\" {h.he} [said|whispered].")
    s.say("{g} [looked at it for a long time|had tears in {g.his} eyes|laughed with joy]. \"[It is the best gift of all|I love it|You made it yourself],\" {g.he} said.")
    s.para()
    s.say("{g} [keeps it to this day|showed it to everyone|kissed {h.him}].", "{h} learned that [a gift from the heart is the best gift|a gift does not need to cost much].")
    s.close()


def birthday(s):
    """It seems that everybody forgot."""
    s.hero(); s.friend(); s.adult(("mom", "dad")); s.food("party"); s.toy()
    s.open()
    s.para()
    s.say("one morning, {h} woke up [early|with a smile]. It was {h.his} birthday!", "it was the birthday of {h}. {h.He} [jumped out of bed|could not wait].")
    s.say("{h.He} ran to {g}, but {g.he} [only said good morning|was busy|said nothing about it].", '"do you know what day it is?" {h} asked {g}. "[It is a normal day|It is washing day|I do not know]," {g.he} said.')
    s.say("then {h} went to {h.his} friend {f}. \"[I have no time today|I cannot play today|I have to go],\" said {f}.", "{h} wanted to play with {h.his} friend {f}, but {f} [ran away|was not at home|had no time].")
    s.say('"[everyone forgot|nobody remembers me|nobody knows it is my birthday]," {h} thought. {h.He} [felt sad|walked around alone|sat down under a tree].', "{h} [felt like crying|was sad and alone]. {h.He} went for a [long |]walk.")
    s.para()
    s.say("in the evening, {h} came home. [It was dark and quiet|No light was on|The house was dark]. {h.He} opened the door.")
    s.say('"surprise!" [everyone shouted|called many voices]. [There was light everywhere|The lights went on|Candles were lit].')
    s.say("there were {g} and {f} and all {h.his} friends. On the table was {d.a}.", "{f} held {d.a} with candles on it. {g} [sang a song|laughed].")
    s.say('"[we did not forget you|we wanted to surprise you|did you think we forgot]," said {f}. "[We made it all for you|Happy birthday]!"'.replace("did you think we forgot", "we could never forget you"))
    s.say("{f} gave {h} a present. [Inside|In the box] was {t.a}!", "{g} gave {h} {t.a}. It was just what {h.he} wanted.")
    s.say("{h} [blew out the candles and made a wish|laughed and cried at the same time|hugged everyone]. It was the best birthday [ever|of all].")
    s.close()


def paint_spill(s):
    """A spoiled picture turns into something better."""
    s.child(); s.friend(); s.adult(("mom", "dad", "grandma", "aunt")) if s.rng.random() < .5 else s.adult(("grandpa", "uncle"))
    subj, blot, new = s.pick([("a house", "a big blue blot", "a lake next to the house"), ("a horse", "a brown spot", "a hill for the horse"), ("a garden", "a red splash", "a field of poppies"),
                              ("a boat", "a black blot", "a big whale in the sea"), ("the sun", "a grey blot", "a cloud with a funny face"), ("a cat", "a green spot", "a bush where the cat could hide"),
                              ("a castle", "a purple blot", "a friendly dragon"), ("a tree", "a yellow splash", "a hundred yellow leaves")])
    s.words(subj=subj, blot=blot, new=new)
    s.open(trait=s.pick([None, "careful", "patient"]))
    s.para()
    s.say("{when}, {h} [painted|was painting] a picture of {subj}. It was for {g}.", "{when}, {h} [sat at the table|took {h.his} paints] and made a picture of {subj} for {g}.")
    s.say("{f}, {h.his} [friend|best friend], [sat beside {h.him}|painted too|came to watch].", "{h.His} friend {f} [wanted to see it|leaned over the table to look].")
    s.say("then {f} bumped [the table|{h.his} arm|the cup], and the paint [spilled|ran over the paper]. Now there was {blot} on the picture.", "[oops|splash]! {f} [knocked over the paint|dropped the brush]. It made {blot} right in the middle.")
    s.say('"[you ruined it|my picture is ruined|look what you did]!" cried {h}. "[I am sorry|I did not mean to]," said {f} [in a small voice|and looked down].')
    s.para()
    s.say("{h} wanted to [throw the picture away|be angry]. But then {h.he} looked at it [again|from the side|with {h.his} head tilted].", "{h} [looked at the spot for a long time|took a deep breath]. {h.He} [turned the paper around|thought hard].")
    s.say('"[wait|look], it looks like [something|something else]," {h.he} said. {h.He} took the brush. Soon there was {new}.', "{h.He} began to paint again. With a few lines, {h.he} made {new}.")
    s.say('"[wow, that is even better|you are so clever|now it is the best picture]," said {f}. {f} [helped to paint the sky|added a small bird|laughed with joy].')
    s.say("{g} [loved it|hung it on the wall|was amazed]. \"[It is my favourite picture|What a good idea|It is beautiful],\" {g.he} said.")
    s.say("{h} [smiled at|hugged|winked at] {f}. [Sometimes a mistake makes things better|A spot can be a good thing|They were still friends].")
    s.close()


def trade_chain(s):
    """Swapping one thing for another until everyone has what they need."""
    s.hero(.3); s.toy(); s.toy(slot="u"); s.place("out")
    a, b, c = s.rng.sample(["an old woman", "a fisherman", "a baker", "a farmer", "a tailor", "a shepherd", "a tired man", "a young mother", "a gardener"], 3)
    give1, give2 = s.rng.sample(["a bag of nuts", "a loaf of bread", "a jar of honey", "a warm coat", "a basket of eggs", "a ball of wool", "a sack of corn", "a silver button"], 2)
    s.words(a=a, b=b, g1=give1, g2=give2, t1="the " + give1.split(" ", 1)[1], t2="the " + give2.split(" ", 1)[1], A=a.split(" ", 1)[1], B=b.split(" ", 1)[1])
    s.open(trait=s.pick(["clever", "kind", "helpful", "friendly"]))
    s.para()
    s.say("{h} had {t.a}, but {h.he} [dreamed of|really wanted] {u.a}.", "{h.His} only toy was {t.a}. But {h.he} wished for {u.a}.")
    s.say("{when}, {h} [took the {t} and went to the market|walked along the road with the {t}]. {h.He} met {a}.")
    s.say('"what a [nice|lovely|fine] {t}," said the {A}. "[My child would love it|My child has no toys]. I will give you {g1} for it."')
    s.say("{h} thought about it. [Then {h.he} said yes|\"All right,\" {h.he} said], and {h.he} got {g1}.")
    s.para()
    s.say("[soon|farther on|at the next corner], {h} met {b}. \"[I need {g1} so much|I am looking for {g1}],\" said the {B}. \"[I can give you|Will you take] {g2}[ for it|].\"".replace("[I can give you|Will you take]", "I can give you"))
    s.say("so {h} gave away {t1} and took {t2}.", '"[here you are|take it]," said {h}, and {h.he} got {g2}.')
    s.say("then {h} [came {p.to}|stopped {p.at}]. A {kid} was sitting there with {u.a}. \"[I am so hungry|I am so cold|We have nothing at home],\" {they} said.".replace("{kid}", "young boy" if s.slots["h"].gender == "f" else "young girl").replace("{they}", "he" if s.slots["h"].gender == "f" else "she")
          .replace("[I am so hungry|I am so cold|We have nothing at home]", {"bread": "I am so hungry", "nuts": "I am so hungry", "honey": "I am so hungry", "coat": "I am so cold", "eggs": "I am so hungry", "wool": "my hands are so cold", "corn": "we have nothing to eat", "button": "I lost the button of my coat"}[give2.split()[-1]]))
    s.words(k="boy" if s.slots["h"].gender == "f" else "girl")
    s.say("{h} [did not wait|did not think long] and gave the {k} {t2}. {h.He} did not ask for anything.", '"[you need this more than I do|take this]," said {h}, and {h.he} gave the {k} {t2}.')
    s.para()
    s.say('"[thank you|you are so kind]!" said the {k}. "[Take my {u}|Please have my {u}|I want you to have my {u}]."', "the {k} was so [glad|happy] and gave {h} the {u.full}.")
    s.say("{h} [could not believe it|laughed out loud]. {h.He} had {u.a}, and everyone had what they needed.", "so {h} went home with {u.a} and a [warm|happy|full] heart.")
    s.close()


PLOTS = [baking, planting, learn_skill, build, gift, birthday, paint_spill, trade_chain]
