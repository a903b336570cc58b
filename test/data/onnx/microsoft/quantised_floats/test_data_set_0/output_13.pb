B
nbits_8_16JT┤╚─└Ю	@╦rA┬╧┌BБ ┴б.№┴▌▐В?tд╖@▒Qn┴vkЩBдаbBz @Б¤+A┴Уk┬╪_q┬BОZ┬Пi1┬Ы&/┬tБb┴О*d┬▄┴A