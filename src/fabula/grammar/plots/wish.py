"""A wish to learn something, granted by effort: it goes wrong, somebody gives advice, and practice does the rest."""

from __future__ import annotations

from fabula.grammar.book import lexicon

# watched: what wakes the wish. fail, again: two ways to go wrong. tip: the advice. won: the happy end, and proud: the
# words for it.
skill = lexicon(
    "skill",
    {
        "name": "ride a bike",
        "watched": "watched the big children ride past on their bikes",
        "fail": "{he} wobbled and fell into a bush",
        "again": "the bike tipped over",
        "tip": "Look far ahead and not at your feet.",
        "won": "{he} rode in a big circle without falling",
        "proud": "I am riding!",
    },
    {
        "name": "swim",
        "watched": "watched the other children splash in the water like happy fish",
        "fail": "{he} kicked and splashed and did not move at all",
        "again": "{his} nose filled with water",
        "tip": "Lie on the water like a leaf, and breathe slowly.",
        "won": "{he} swam like a little frog",
        "proud": "I am swimming!",
    },
    {
        "name": "whistle",
        "watched": "heard the mailman whistle a merry tune",
        "fail": "only air came out of {his} mouth",
        "again": "it sounded like a leaky balloon",
        "tip": "Make your lips small and round, as if you kiss the wind.",
        "won": "a clear, high note flew out of {his} mouth",
        "proud": "I can whistle!",
    },
    {
        "name": "bake bread",
        "watched": "smelled warm bread in the street",
        "fail": "the dough stuck to {his} fingers",
        "again": "the loaf was as hard as a brick",
        "tip": "Give the dough time to rest, and it will grow.",
        "won": "the bread came out of the oven golden and soft",
        "proud": "I am a real baker!",
    },
    {
        "name": "roller skate",
        "watched": "watched a skater turn and twirl like a dancer",
        "fail": "{his} feet rolled away, and {he} sat down with a bump",
        "again": "{he} rolled backward into a hedge",
        "tip": "Bend your knees and push with one foot at a time.",
        "won": "{he} rolled along as smoothly as a train",
        "proud": "I am skating!",
    },
    {
        "name": "climb the tall tree",
        "watched": "watched two squirrels race up a tall tree",
        "fail": "{he} slipped down and scratched {his} knee",
        "again": "{he} got stuck on the lowest branch",
        "tip": "Hold on with both hands and move one foot at a time.",
        "won": "{he} sat high in the tree and could see far and wide",
        "proud": "I can see everything from here!",
    },
    {
        "name": "play the flute",
        "watched": "heard an old man play the flute",
        "fail": "the flute honked like an angry goose",
        "again": "even the cat ran away from the noise",
        "tip": "Blow softly, as if you cool hot soup.",
        "won": "a sweet song floated through the air",
        "proud": "I can play a whole song!",
    },
    {
        "name": "draw a horse",
        "watched": "saw a beautiful horse in a picture book",
        "fail": "the horse looked like a potato with legs",
        "again": "it looked like a dog with a long nose",
        "tip": "Look at one part at a time, and draw what you see.",
        "won": "a proud horse galloped across {his} paper",
        "proud": "It looks as if it could run away!",
    },
    {
        "name": "juggle",
        "watched": "watched a clown throw five balls into the air",
        "fail": "one ball landed on {his} nose",
        "again": "all the balls rolled under the table",
        "tip": "Start with one ball, then take two, and only then take three.",
        "won": "three balls danced in the air above {his} head",
        "proud": "Look, I am juggling!",
    },
    {
        "name": "skip rope",
        "watched": "watched the big girls skip rope in the yard",
        "fail": "the rope caught {his} feet",
        "again": "the rope wrapped itself around {his} legs like a snake",
        "tip": "Listen to the beat, and jump when the rope taps the ground.",
        "won": "{he} jumped twenty times without stopping",
        "proud": "I did not miss once!",
    },
    {
        "name": "tie a bow",
        "watched": "watched {his} cousin tie two perfect bows",
        "fail": "the knot was as big as a fist",
        "again": "the laces slipped apart",
        "tip": "Make two rabbit ears, and let them hug each other.",
        "won": "there was a neat bow on each of {his} shoes",
        "proud": "I tied them all by myself!",
    },
    {
        "name": "row a boat",
        "watched": "watched a fisherman row past with long, strong strokes",
        "fail": "the boat turned around and around in a circle",
        "again": "{he} lost an oar and got very wet",
        "tip": "Pull both oars at the same time.",
        "won": "the boat moved straight across the water",
        "proud": "I am the captain!",
    },
    {
        "name": "do a handstand",
        "watched": "saw an acrobat stand on his hands",
        "fail": "{he} fell over like a sack of flour",
        "again": "{his} legs went the wrong way",
        "tip": "Look at the floor between your hands, and hold your tummy tight.",
        "won": "{his} feet pointed straight at the sky",
        "proud": "The whole world is upside down!",
    },
)

RULES = """
wish:
- <wish seed> <wish try>[ <wish sigh>|] <wish tip> <wish practice> <wish won>

wish seed:
- <One day>, {he} {new skill.watched}. "I want to do that, too!" {he} [said|thought].
- {Hero} had one big wish. It began when {he} {new skill.watched}. From then on, {he} thought of nothing else.
- <One day>, when {hero} {new skill.watched}, {his} eyes grew wide. "How I wish that I could do that!" {he} said.
- It all began <one day>, when {hero} {new skill.watched}. How easy it looked! {Hero} wanted to learn it, too.

wish try:
- So {he} tried. But {skill.fail}.
- The first time {he} tried, {skill.fail}. The second time, {skill.again}.
- {He} began at once, but {skill.fail}. {He} tried again, and {skill.again}.
- {He} could hardly wait. But as soon as {he} tried, {skill.fail}.
- {He} tried it all by {himself}. First {skill.fail}, and then {skill.again}.

wish sigh:
- "I will never learn it," {he} sighed.
- {His} eyes filled with tears, and {he} wanted to give up.
- "It is too hard for me!" cried {hero}.
- {Hero} [kicked a stone|hung {his} head] and sat down on the ground.
- "Why can everybody do it but me?" asked {hero}.

wish tip:
- {new Helper.first} had seen it all. "I could not do it at first either," said {helper}. "{skill.tip}"
- {new Helper.first} smiled at {him} and said, "{skill.tip}"
- "May I tell you a secret?" asked {new helper.first}. "{skill.tip}"
- "Nobody can do it at once," said {new helper.first}. "{skill.tip} And try it once more."
- {new Helper.first} sat down beside {him}. "Do you want to know how I learned it?" asked {helper}. "{skill.tip}"

wish practice:
- So {hero} practiced every day, in the sun and in the rain.
- {Hero} nodded and tried again, and again, and again.
- After that, {hero} practiced before breakfast and after supper.
- {Hero} did what {helper} had told {him}, a little better each time.
- For a whole week, {hero} practiced while {helper} watched.

wish won:
- Then, <one day>, {skill.won}! "{skill.proud}" {he} [shouted|called|laughed].
- And on the seventh day, {skill.won}. "{skill.proud}" {he} [shouted|called|laughed].
- At last, {skill.won}. {Hero} could hardly believe it. "{skill.proud}"

wish end:
- {Helper} clapped {helper.his} hands. "I knew that you could do it," {helper} said.
- {Helper} was so proud that {helper.he} told everyone about it.
- Now {hero} knew that nobody is good at everything on the first day.
- "You did not give up," said {helper}, "and that is the real secret."
- The next day, a smaller child asked {hero}, "How do you do that?" And {hero} showed the child how, step by step.
- It had taken a long time to learn to {skill}, and that was why it felt so good.
"""
